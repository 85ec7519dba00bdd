"""The one error that a user is meant to read: input that cannot be used as it is."""

import json
from collections.abc import Collection
from pathlib import Path

from wheretolook.base.display import redacted


class InputError(Exception):
    """Input that cannot be used: a file, a parameter, a network, the output of a model.

    Raised at the boundaries of the program. A stage and the `wheretolook` command print it without a traceback; any
    other exception is a bug and keeps its traceback. Code reads the fields and never the sentence.

    Secrets in URLs are hidden in every field.

    Attributes:
        subject: the thing at fault: a path, a parameter, a layer. With nothing else given, the whole message.
        expected: what would be right, as a noun phrase; may be empty.
        found: what is there instead; may be empty.
        hint: what to do next, as a sentence without the full stop; may be empty.
    """

    def __init__(self, subject: object, expected: object = "", found: object = "", hint: object = "") -> None:
        parts = tuple(redacted(str(part)) for part in (subject, expected, found, hint))
        super().__init__(*parts)
        self.subject, self.expected, self.found, self.hint = parts

    def __str__(self) -> str:
        """`SUBJECT: expected EXPECTED, found FOUND. HINT.`, without the parts that were not given."""
        parts = [f"expected {self.expected}" if self.expected else "", f"found {self.found}" if self.found else ""]
        facts = ", ".join(part for part in parts if part)
        message = f"{self.subject}: {facts}" if facts else self.subject
        if not self.hint:
            return message
        end = "" if self.hint.endswith((".", "?", "!", "`", '"')) else "."
        return f"{message}. {self.hint[0].upper()}{self.hint[1:]}{end}"


NAMES = "reports/names.json"
FROM_DRIVE = {"train": "sync", "export": "export-drive", "score": "score-drive"}


def repro_command(path: Path, stage: str = "export") -> str:
    """How that which `path` belongs to is made again: `run "dvc repro -sf export@last-0"`.

    Args:
        path: in its place in a project: a folder of maps, its manifest, NAME.json or NAME.safetensors.
        stage: what makes it for a model that is trained here: a key of FROM_DRIVE.
    """
    name = path.parent.name if path.name == "manifest.json" else path.name
    name = name.removesuffix(".json").removesuffix(".safetensors")
    drive = _from_drive(path, name)
    here, fetched = f'"dvc repro -sf {stage}@{name}"', f'"dvc repro -sf {FROM_DRIVE[stage]}@{name}"'
    return f"run {fetched if drive else here}" + (f", or of a model from Drive {fetched}" if drive is None else "")


def _from_drive(path: Path, name: str) -> bool | None:
    """Whether the project that `path` lies in names the model under `drive`; None where it does not say."""
    names = next((folder / NAMES for folder in path.parents if (folder / NAMES).is_file()), None)
    try:
        found = json.loads(names.read_text(encoding="utf-8")) if names else {}
    except (OSError, ValueError):  # a message is under way: that this file is broken too is told where it is needed
        return None
    drive, models = (_named(found, key) for key in ("drive", "models"))
    return name in drive if name in models else None


def _named(found: object, key: str) -> Collection[str]:
    names = found.get(key) if isinstance(found, dict) else None
    return names if isinstance(names, list) else ()


# In small letters: torch on a CPU (two wordings), CUDA and MPS, and cuBLAS, which takes memory of its own.
OUT_OF_MEMORY = (
    "can't allocate memory",
    "not enough memory",
    "out of memory",
    "cublas_status_alloc_failed",
    "can't start new thread",  # no room for its stack
)


def is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out, the machine's or a GPU's, in Python, numpy, torch or while loading a library."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    words = str(error).lower()
    if isinstance(error, ImportError):
        return "cannot allocate memory" in words or "failed to map segment" in words
    return isinstance(error, RuntimeError) and any(word in words for word in OUT_OF_MEMORY)


def is_gpu_failure(error: Exception) -> bool:
    """Whether CUDA, or a library on it, said that the device failed."""
    words = ("CUDA error", "CUDNN_STATUS", "CUBLAS_STATUS", "cuFFT error", "NCCL error", "MPS backend")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)
