"""Names from user data (classes, files, groups): which are valid, and how to print them safely; redaction of secrets.

`visible` is for all output that people read: terminal, summary, page, figures. `markdown_text` escapes Markdown.
"""

import re
import unicodedata
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
