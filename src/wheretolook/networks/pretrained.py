"""Pretrained weights: by a library's name for them, or from a file; and the classifier, which starts at random."""

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wheretolook.base.errors import InputError
from wheretolook.base.files import sha256_of
from wheretolook.networks.architectures import Architecture, parse_architecture
from wheretolook.networks.bare_networks import build_bare, load_timm, read_config
from wheretolook.networks.card import IMAGENET_MEAN, IMAGENET_STD, METADATA_KEY, read_card
from wheretolook.networks.checkpoint import check_architecture, check_finite
from wheretolook.networks.foreign_file import read_foreign
from wheretolook.networks.foreign_state import find_state, without_prefix
from wheretolook.networks.inputs import Channels
from wheretolook.networks.layered import Network, load_weights
from wheretolook.networks.weights_file import is_weights_file, weights_metadata

# The weights that a configuration of transformers belongs to; they have no name of their own.
OF_CONFIGURATION = "pretrained"
SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")
# Seconds without data; torch.hub has no timeout.
TIMEOUT = 60.0
_SHOWN = 8
# These convert ImageNet's normalisation to this one inside the network, where `transform_input` is set.
_TRANSFORMED = ("inception_v3", "googlenet")
_HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class _Weights:
    """Pretrained tensors, and the input that they expect.

    Attributes:
        state: by name, as in the network's state dict.
        mean, std: of each channel, for values in 0..1.
        hint: what to do where a shape differs.
    """

    state: dict[str, Tensor]
    mean: Channels
    std: Channels
    hint: str


def is_weights_path(weights: str) -> bool:
    """Whether `weights` names a file, by a slash or the suffix of a weights file."""
    return "/" in weights or weights.endswith(SUFFIXES)


def weights_sha256(weights: str) -> str | None:
    """SHA-256 of a file of weights; None for weights by name.

    Raises:
        InputError: no such file.
    """
    if not is_weights_path(weights):
        return None
    if not Path(weights).is_file():
        raise InputError(f"weights {weights!r}", "a file", "no such file", f"The current folder is {Path.cwd()}")
    return sha256_of(Path(weights))


def find_pretrained(architecture: str, weights: str) -> Any:
    """Check the name of pretrained weights, or that their file exists; downloads nothing.

    Args:
        architecture: of the network.
        weights: a file; torchvision's name, such as "IMAGENET1K_V1"; timm's tag, such as "a1_in1k"; "pretrained" for a
            network of transformers.

    Returns:
        The library's entry for the weights; None for a file.

    Raises:
        InputError: an unknown architecture, no such file, or a name that is unknown for the architecture.
    """
    check_architecture(architecture)
    source = parse_architecture(architecture)
    if is_weights_path(weights):
        weights_sha256(weights)
        return None
    if source.kind in ("own", "code"):
        expected = "`weights: random`, or a file such as weights/best.pt"
        raise InputError(architecture, expected=expected, found=f'"{weights}"')
    if source.kind == "timm":
        return _timm_entry(source.name, weights)
    if source.kind == "hf":
        if weights != OF_CONFIGURATION:
            raise InputError(architecture, f"weights random or {OF_CONFIGURATION}, or a file", f'"{weights}"')
        return read_config(source)
    from torchvision import models

    # DEFAULT is another file in another version of torchvision.
    known = {entry.name: entry for entry in models.get_model_weights(source.name)}
    if weights not in known:
        raise InputError(architecture, expected=f"weights {', '.join(['random', *known])}", found=f'"{weights}"')
    return known[weights]


def load_pretrained(
    network: Network,
    architecture: str,
    weights: str,
    class_count: int,
    keywords: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> tuple[Channels, Channels]:
    """Load pretrained weights into a network. Heads keep their own values where the shapes differ.

    Weights by name are downloaded once, into the library's own folder (TORCH_HOME, HF_HOME), which other programs
    share. A file of torchvision must have the SHA-256 that begins with the digits in its name. No code of a file is
    run.

    Args:
        network: of this architecture; changed in place.
        architecture: in a form that `parse_architecture` accepts.
        weights: as for `find_pretrained`.
        class_count: K.
        keywords: arguments of a network of timm or transformers, or of one of the user's.
        progress: whether a download of torchvision shows its progress.

    Returns:
        Mean and standard deviation of each channel that the weights expect, for values in 0..1. For a file that does
        not record them, ImageNet's.

    Raises:
        InputError: unknown weights, a failed download, a damaged file, or weights that do not fit.
    """
    entry, source = find_pretrained(architecture, weights), parse_architecture(architecture)
    if entry is None:
        found = _of_file(network, weights)
    elif source.kind == "timm":
        found = _of_timm(source.name, entry, class_count, keywords or {})
    elif source.kind == "hf":
        found = _of_transformers(source, class_count, keywords or {})
    else:
        found = _of_torchvision(source.name, entry, keywords or {}, progress)
    _fill(network, found, f"{architecture}, weights {weights}", head_names(network, class_count))
    return found.mean, found.std


def head_names(network: nn.Module, class_count: int) -> tuple[str, ...]:
    """Names of the modules that output the logits: the last linear layer or convolution of K outputs.

    Several where such modules follow each other, as in a network with a head for distillation. Heads of inner layers
    (`side_heads`) are not among them.
    """
    named = [(name, module) for name, module in network.named_modules() if not name.startswith("side_heads")]
    weighted = [(name, module) for name, module in named if any(True for _ in module.parameters(recurse=False))]
    outputs = [
        getattr(module, "out_features", getattr(module, "out_channels", 0)) == class_count for _, module in weighted
    ]
    if not any(outputs):
        return ()
    last = max(place for place, fits in enumerate(outputs) if fits)
    first = last
    while first and outputs[first - 1]:
        first -= 1
    return tuple(name for name, _ in weighted[first : last + 1])


def is_of_head(name: str, heads: tuple[str, ...]) -> bool:
    """Whether a tensor of a state dict belongs to one of the heads, or to the head of an inner layer."""
    return name.startswith("side_heads.") or name.rpartition(".")[0] in heads


def _fill(network: Network, found: _Weights, subject: str, heads: tuple[str, ...]) -> None:
    fresh = network.state_dict()
    for name, tensor in fresh.items():
        given = found.state.get(name)
        if given is not None and given.shape == tensor.shape:
            fresh[name] = given.to(tensor.dtype)
        elif not is_of_head(name, heads) and not name.endswith("num_batches_tracked"):
            shape = "none" if given is None else tuple(given.shape)
            own = name.removeprefix("body.")
            raise InputError(
                subject,
                expected=f"{own} of shape {shape}" if given is not None else f"a tensor {own} among the weights",
                found=tuple(tensor.shape) if given is not None else "none",
                hint=found.hint,
            )
    load_weights(network, fresh)


def _of_file(network: Network, weights: str) -> _Weights:
    path = Path(weights)
    found, _ = find_state(read_foreign(path, weights), weights)
    check_finite(weights, found.tensors, "Take other weights")
    state, _ = without_prefix(found.tensors, network.state_dict())
    mean, std = IMAGENET_MEAN, IMAGENET_STD
    if is_weights_file(path) and METADATA_KEY in weights_metadata(path):
        card = read_card(path)
        mean, std = card.mean, card.std
    hint = "set the architecture, arguments and `prepare.size` that the weights were trained with"
    return _Weights(state, mean, std, hint)


def _of_torchvision(name: str, entry: Any, keywords: Mapping[str, Any], progress: bool) -> _Weights:
    from torchvision import models

    _fetch(entry.url, progress)
    # torchvision's builder renames the tensors of older files.
    state = models.get_model(name, weights=entry).state_dict()
    preset = entry.transforms()
    mean, std = tuple(preset.mean), tuple(preset.std)
    if name in _TRANSFORMED and not keywords.get("transform_input"):
        mean, std = _HALF, _HALF
    hint = f"set `prepare.size: {preset.crop_size[0]}`, the size that the weights were trained with"
    return _Weights(_of_body(state), mean, std, hint)


def _timm_entry(name: str, tag: str) -> Any:
    timm = load_timm(name)
    architecture = name.partition(".")[0]
    known = [each.partition(".")[2] for each in timm.list_models(f"{architecture}.*", pretrained=True)]
    if tag not in known:
        near = get_close_matches(tag, known, n=_SHOWN) or known[:_SHOWN]
        raise InputError(f"timm/{name}", f"weights {', '.join(['random', *near])}, or a file", f'"{tag}"')
    return timm.get_pretrained_cfg(f"{architecture}.{tag}")


def _of_timm(name: str, entry: Any, class_count: int, keywords: Mapping[str, Any]) -> _Weights:
    timm = load_timm(name)
    full = f"{name.partition('.')[0]}.{entry.tag}"
    try:
        # timm adapts position embeddings to the size in `keywords`.
        made = timm.create_model(full, pretrained=True, num_classes=class_count, **keywords)
    except Exception as error:  # of several libraries for downloads
        raise _not_downloaded(f"timm/{full}", error) from error
    hint = f"set `prepare.size: {entry.input_size[1]}`, the size that the weights were trained with"
    return _Weights(_of_body(made.state_dict()), tuple(entry.mean), tuple(entry.std), hint)


def _of_transformers(source: Architecture, class_count: int, keywords: Mapping[str, Any]) -> _Weights:
    import transformers

    place, _, revision = source.name.partition("@")
    if source.file:
        place = str(Path(source.file).parent)
    where: dict[str, Any] = {"revision": revision or "main", "local_files_only": bool(source.file)}
    config = build_bare(source, class_count, keywords).config
    try:
        made = transformers.AutoModelForImageClassification.from_pretrained(
            place, config=config, ignore_mismatched_sizes=True, trust_remote_code=False, **where
        )
        path = transformers.utils.cached_file(
            place, "preprocessor_config.json", _raise_exceptions_for_missing_entries=False, **where
        )
    except Exception as error:  # of several libraries for downloads
        raise _not_downloaded(f"hf/{source.name}", error) from error
    given = json.loads(Path(path).read_text(encoding="utf-8")) if path else {}
    mean, std = given.get("image_mean", IMAGENET_MEAN), given.get("image_std", IMAGENET_STD)
    hint = "set `prepare.size` and `image_size` in `arguments` to the size that the weights were trained with"
    return _Weights(_of_body(made.state_dict()), tuple(mean), tuple(std), hint)


def _of_body(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a library's network under the names that they have in ours, which wraps it."""
    return {f"body.{name}": tensor for name, tensor in state.items()}


def _not_downloaded(subject: str, error: Exception) -> InputError:
    return InputError(
        subject,
        expected="pretrained weights",
        found=f"an error ({type(error).__name__}: {str(error)[:200]})",
        hint="check the connection and run it again, or download the file and set `weights` to its path",
    )


def _fetch(url: str, progress: bool) -> None:
    """Download a file into torch.hub's folder, unless it is there, and check its SHA-256."""
    path = Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])
    prefix = path.stem.rpartition("-")[2]
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(TIMEOUT)
        try:
            torch.hub.download_url_to_file(url, str(path), prefix, progress)
        except (OSError, HTTPException, RuntimeError) as error:
            raise InputError(
                url,
                expected="a download of pretrained weights",
                found=f"an error ({error})",
                hint=f"check the connection and run it again, or copy the file to {path}",
            ) from error
        finally:
            socket.setdefaulttimeout(before)
    if not sha256_of(path).startswith(prefix):
        raise InputError(path, f"a SHA-256 that begins with {prefix}", "another file", "remove it and run again")
