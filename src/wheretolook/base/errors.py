"""InputError, the one error meant for users; the command that reproduces an output; errors of memory and of the GPU."""

import json
from collections.abc import Collection
from pathlib import Path

from wheretolook.base.display import redacted


class InputError(Exception):
    """Invalid input: a file, a parameter, a network, the output of a model.

    Stages and the `wheretolook` command print it without a traceback. Any other exception is a bug and keeps its
    traceback. Code reads the fields and never parses the message. Secrets in URLs are redacted in every field.

    Attributes:
        subject: what is at fault: a path, a parameter, a layer. If it is the only field, it is the whole message.
        expected: what would be valid, as a noun phrase; may be empty.
        found: the actual value; may be empty.
        hint: what to do next, as a sentence without the full stop; may be empty.
    """

    def __init__(self, subject: object, expected: object = "", found: object = "", hint: object = "") -> None:
        parts = tuple(redacted(str(part)) for part in (subject, expected, found, hint))
        super().__init__(*parts)
        self.subject, self.expected, self.found, self.hint = parts

    def __str__(self) -> str:
        """`SUBJECT: expected EXPECTED, found FOUND. HINT.`, without the empty fields."""
        parts = [f"expected {self.expected}" if self.expected else "", f"found {self.found}" if self.found else ""]
        facts = ", ".join(part for part in parts if part)
        message = f"{self.subject}: {facts}" if facts else self.subject
        if not self.hint:
            return message
        end = "" if self.hint.endswith((".", "?", "!", "`", '"')) else "."
        return f"{message}. {self.hint[0].upper()}{self.hint[1:]}{end}"


NAMES = "reports/names.json"
# The stage of a model trained here: the stage of a model imported from Drive.
FROM_DRIVE = {"train": "sync", "export": "export-drive", "score": "score-drive"}


def repro_command(path: Path, stage: str = "export") -> str:
    """The command that reproduces the output at `path`, as a hint: `run "dvc repro -sf export@last-0"`.

    Args:
        path: of an output inside a project: a folder of maps, its manifest, NAME.json or NAME.safetensors.
        stage: the stage that writes it for a trained model: a key of FROM_DRIVE. For an imported model the hint names
            the matching stage; where the project does not say which of the two it is, it names both.
    """
    name = path.parent.name if path.name == "manifest.json" else path.name
    name = name.removesuffix(".json").removesuffix(".safetensors")
    drive = _from_drive(path, name)
    here, fetched = f'"dvc repro -sf {stage}@{name}"', f'"dvc repro -sf {FROM_DRIVE[stage]}@{name}"'
    return f"run {fetched if drive else here}" + (f", or of a model from Drive {fetched}" if drive is None else "")


def _from_drive(path: Path, name: str) -> bool | None:
    """Whether the project around `path` lists the model under `drive`; None if it does not list the model at all."""
    names = next((folder / NAMES for folder in path.parents if (folder / NAMES).is_file()), None)
    try:
        found = json.loads(names.read_text(encoding="utf-8")) if names else {}
    except (OSError, ValueError):  # called while another error is reported: a broken names.json must not replace it
        return None
    drive, models = (_named(found, key) for key in ("drive", "models"))
    return name in drive if name in models else None


def _named(found: object, key: str) -> Collection[str]:
    names = found.get(key) if isinstance(found, dict) else None
    return names if isinstance(names, list) else ()


# In lower case: PyTorch on a CPU (two wordings), CUDA and MPS, and cuBLAS, which allocates its own memory.
OUT_OF_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "cublas_status_alloc_failed",
    "can't start new thread",  # no memory for its stack
)


def is_out_of_memory(error: Exception) -> bool:
    """Whether the machine or the GPU ran out of memory: in Python, NumPy, PyTorch or while loading a library."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    words = str(error).lower()
    if isinstance(error, ImportError):
        return "cannot allocate memory" in words or "failed to map segment" in words
    return isinstance(error, RuntimeError) and any(word in words for word in OUT_OF_MEMORY)


def is_gpu_failure(error: Exception) -> bool:
    """Whether CUDA, MPS or a library on top of them reported a failure of the device."""
    words = ("CUDA error", "CUDNN_STATUS", "CUBLAS_STATUS", "cuFFT error", "NCCL error", "MPS backend")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)
