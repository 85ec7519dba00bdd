"""Open a file of weights from elsewhere without running what is in it. In the quarantine's own process only."""

import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from wheretolook.data.refusal import Refusal
from wheretolook.models.weights_file import PYTORCH, check_weights_file, is_weights_file

# Before it, loading with weights_only could be made to run code: CVE-2025-32434, CVE-2026-24747.
SAFE_TORCH = (2, 10)
STATE_DICT_ALONE = (
    "ask who made it for the state dict alone: torch.save(model.state_dict(), ...), or better a safetensors file"
)


def read_foreign(path: Path) -> Any:
    """What a .pt, .pth or safetensors file holds: tensors, numbers and text, and what contains them.

    Raises:
        Refusal: no such file, a damaged one, or one that would run code when loaded the careless way.
    """
    if is_weights_file(path):
        check_weights_file(path)
        try:
            return load_file(path)
        except SafetensorError as error:
            raise Refusal(f"{path}: expected a safetensors file, found a broken one ({error})") from error
    with path.open("rb") as file:
        if not file.read(4).startswith(PYTORCH):
            raise Refusal(f"{path}: expected a .pt, .pth or safetensors file, found another format; check the link")
    if tuple(int(part) for part in torch.__version__.split(".")[:2]) < SAFE_TORCH:
        least = ".".join(map(str, SAFE_TORCH))
        raise Refusal(f"{path}: expected torch {least} or later to open a .pt file, found {torch.__version__}; update")
    return _unpickled(path)


def _unpickled(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what PyTorch says of a TorchScript archive is in the refusal
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise Refusal(_why_not(path, error)) from error
    except (RuntimeError, EOFError) as error:
        if "alloc" in str(error):
            raise  # beyond its memory: the quarantine tells that
        if "TorchScript" in str(error):
            raise Refusal(f"{path}: expected a state dict, found a TorchScript archive; {STATE_DICT_ALONE}") from error
        said = (str(error) or "it ends too early").splitlines()[0][:200]
        raise Refusal(f"{path}: expected a whole .pt file, found a damaged one ({said}); fetch it again") from error


def _why_not(path: Path, error: pickle.UnpicklingError) -> str:
    asked = re.search(r"(?:GLOBAL|Unsupported \w+:?|function) ([\w.]+\.[\w.]+)", str(error))
    if asked:
        return (
            f"{path}: expected tensors and nothing else, found a pickle that would run other code when loaded "
            f"(it asks for {asked[1]}). Nothing was run; {STATE_DICT_ALONE}"
        )
    said = (str(error).strip().splitlines() or [type(error).__name__])[-1][:200]
    return f"{path}: expected tensors and nothing else, found a pickle of another kind, or a damaged one ({said})"
