"""Names that others gave (classes, files, groups): which are taken, and how they are shown.

`visible` is for every place where people read: terminal, summary, page, pictures. `markdown_text` is for Markdown.
"""

import re
import unicodedata
from typing import Any

# Control characters, as a line break or an escape; invisible ones, as those that turn the direction of writing or have
# no width; and halves of characters, which no UTF-8 can hold.
UNREADABLE = ("Cc", "Cf", "Cs")
# These join or part letters of several scripts, and emoji: no name in those can be written without. Beside a letter of
# ASCII they do nothing but hide.
JOINERS = "\u200c\u200d"
# Bytes that file systems allow for the name of a folder, and so of a class.
LONGEST_CLASS_NAME = 255


def is_readable(name: str) -> bool:
    """Whether a name holds visible characters alone, and no half of a character (a lone surrogate).

    A control character ends a line of a table too early, or reaches the terminal as a command. An invisible one makes
    two names of what looks like one, or shows a name backwards.
    """
    # Most names: a space, and what prints.
    return name.isprintable() or not any(_hides(name, place) for place in range(len(name)))


def is_class_name(name: str) -> bool:
    """Whether a class may have this name, in a model file or in params.yaml: what a folder could have, too."""
    return 0 < len(name.encode(errors="replace")) <= LONGEST_CLASS_NAME and is_readable(name)


def readable(name: str) -> str:
    """The name with a question mark in place of each such character."""
    return "".join("?" if _hides(name, place) else character for place, character in enumerate(name))


def _hides(name: str, place: int) -> bool:
    if name[place] in JOINERS:
        return place == 0 or name[place - 1].isascii() or name[place + 1 : place + 2].isascii()
    return unicodedata.category(name[place]) in UNREADABLE


def visible(text: str) -> str:
    """Text with an escape (`\\u202e`) for each character that is not seen, or that changes how others are seen.

    Those are control characters other than line breaks and tabs, bidirectional and zero-width ones, and halves of
    characters. What is visible stays as it is, in any script.
    """
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    if character.isprintable() or character in "\n\t" or unicodedata.category(character) == "Zs":
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


# Characters that Markdown would read as its own; "_" inside a word, and "&" before a space, it leaves alone.
MARKDOWN = re.compile(r"[\\`*\[\]|~#$]|(?<![^\W_])_|_(?![^\W_])")


def markdown_text(text: str) -> str:
    """Text that Markdown shows as it is: neither HTML, nor emphasis, links or table cells of its own."""
    escaped = MARKDOWN.sub(lambda found: "\\" + found.group(), visible(text))
    return re.sub(r"&(?=[#\w])", "&amp;", escaped).replace("<", "&lt;")


HIDDEN = "***"
# `user:password@`; a path object has made one slash of two.
_USER = re.compile(r"(\b[a-z][a-z0-9+.-]+:/{1,2})[^/\s]*@", re.IGNORECASE)
# Of Drive's links, `resourcekey` belongs to the address.
_WORDS = r"user|login|pass|pwd|secret|token|auth|credential|sig|session|jwt|policy|(?<!resource)key|googleaccessid"
_QUERY = re.compile(rf"([?&#;][^=&?#;\s]*(?:{_WORDS})[^=&?#;\s]*=)[^&#;\s\"'`<>]+", re.IGNORECASE)


def redacted(text: str) -> str:
    """A text whose addresses name no user and hold no password, signature, token or key.

    Args:
        text: anything, such as a message that quotes a URL.

    Returns:
        The text with `***` for each secret: `https://***@host/file?X-Amz-Signature=***&part=2`.
    """
    return _QUERY.sub(rf"\1{HIDDEN}", _USER.sub(rf"\1{HIDDEN}@", text))


def redacted_values(value: Any) -> Any:
    """Lists and mappings, as of params.yaml, with `redacted` text in them."""
    if isinstance(value, dict):
        return {key: redacted_values(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [redacted_values(inner) for inner in value]
    return redacted(value) if isinstance(value, str) else value
