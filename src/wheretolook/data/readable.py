"""Names that a terminal, a table and a file system all take as they are."""

import unicodedata

# Control characters, as a line break or an escape, and halves of characters, which no UTF-8 can hold.
UNREADABLE = ("Cc", "Cs")


def is_readable(name: str) -> bool:
    """Whether a name has no control character and no half of a character (a lone surrogate).

    A control character ends a line of a table too early, or reaches the terminal as a command.
    """
    return not any(unicodedata.category(character) in UNREADABLE for character in name)


def readable(name: str) -> str:
    """The name with a question mark in place of each such character."""
    return "".join("?" if unicodedata.category(character) in UNREADABLE else character for character in name)
