"""Errors with fields, and names from user data: which are valid, how to print them safely, redaction of secrets."""

import json
import re
import unicodedata
from collections.abc import Collection
from pathlib import Path
from typing import Any

# Unicode categories: control characters (line breaks, escapes); invisible format characters (bidirectional and
# zero-width ones); lone surrogates, which cannot be encoded as UTF-8.
UNREADABLE = ("Cc", "Cf", "Cs")
# Zero-width joiners are needed to write several scripts and emoji. Next to an ASCII letter they are only invisible.
JOINERS = "\u200c\u200d"
# Limit of a folder name on common file systems, in bytes, and so of a class name.
LONGEST_CLASS_NAME = 255


def is_readable(name: str) -> bool:
    """Whether a name has no control characters, invisible characters or lone surrogates.

    A control character breaks a table row or acts as a terminal command. An invisible one makes two different names
    look the same, or reverses the text.
    """
    return name.isprintable() or not any(_is_unreadable(name, place) for place in range(len(name)))


def is_class_name(name: str) -> bool:
    """Whether a name is a valid class name: readable, not empty, and no longer than a folder name may be."""
    return 0 < len(name.encode(errors="replace")) <= LONGEST_CLASS_NAME and is_readable(name)


def readable(name: str) -> str:
    """The name with each unreadable character replaced by a question mark."""
    return "".join("?" if _is_unreadable(name, place) else character for place, character in enumerate(name))


def _is_unreadable(name: str, place: int) -> bool:
    if name[place] in JOINERS:
        return place == 0 or name[place - 1].isascii() or name[place + 1 : place + 2].isascii()
    return unicodedata.category(name[place]) in UNREADABLE


def visible(text: str) -> str:
    """Text with an escape (`\\u202e`) in place of each invisible character.

    Escaped are control characters other than line breaks and tabs, bidirectional and zero-width characters, and lone
    surrogates. Visible characters of any script are unchanged.
    """
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    if character.isprintable() or character in "\n\t" or unicodedata.category(character) == "Zs":
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


# Characters with a meaning in Markdown. "_" inside a word and "&" before a space have none.
MARKDOWN = re.compile(r"[\\`*\[\]|~#$]|(?<![^\W_])_|_(?![^\W_])")


def markdown_text(text: str) -> str:
    """Text escaped for Markdown: it renders literally, without HTML, emphasis, links or table cells."""
    escaped = MARKDOWN.sub(lambda found: "\\" + found.group(), visible(text))
    return re.sub(r"&(?=[#\w])", "&amp;", escaped).replace("<", "&lt;")


HIDDEN = "***"
# `user:password@`. One slash is enough: a Path turns "//" into "/".
_USER = re.compile(r"(\b[a-z][a-z0-9+.-]+:/{1,2})[^/\s]*@", re.IGNORECASE)
# `resourcekey` of a Google Drive link is no secret: the link does not work without it.
_WORDS = r"user|login|pass|pwd|secret|token|auth|credential|sig|session|jwt|policy|(?<!resource)key|googleaccessid"
_QUERY = re.compile(rf"([?&#;][^=&?#;\s]*(?:{_WORDS})[^=&?#;\s]*=)[^&#;\s\"'`<>]+", re.IGNORECASE)


def redacted(text: str) -> str:
    """Text with user names, passwords, signatures, tokens and keys removed from its URLs.

    Args:
        text: any text, such as a message that quotes a URL.

    Returns:
        The text with `***` in place of each secret: `https://***@host/file?X-Amz-Signature=***&part=2`.
    """
    return _QUERY.sub(rf"\1{HIDDEN}", _USER.sub(rf"\1{HIDDEN}@", text))


def redacted_values(value: Any) -> Any:
    """Nested lists and mappings, such as params.yaml, with each text redacted."""
    if isinstance(value, dict):
        return {key: redacted_values(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [redacted_values(inner) for inner in value]
    return redacted(value) if isinstance(value, str) else value


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
