"""Fonts of the pictures: names in any script are drawn where a font here has their letters, else as escapes."""

from collections.abc import Iterable
from functools import cache

from wheretolook.data.readable import visible

FONT = "DejaVu Sans"  # comes with matplotlib
# Fonts of other scripts, one of which most systems have, by the names that matplotlib knows them by.
OTHERS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Noto Sans JP",
    "Noto Sans SC",
    "Source Han Sans",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "IPAGothic",
    "Droid Sans Fallback",
    "PingFang SC",
    "Hiragino Sans",
    "Apple SD Gothic Neo",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
    "Noto Sans",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "Arial Unicode MS",
)


@cache
def font_families() -> list[str]:
    """Families that matplotlib may use, in the order in which it looks for a letter: those of OTHERS that are here."""
    return [FONT, *(name for name in OTHERS if name in _files())]


def drawable(text: str) -> str:
    """The text with an escape (`\\u8840`) for each letter that no font here has, and for what is not seen at all."""
    return "".join(letter if _has(letter) else letter.encode("unicode_escape").decode() for letter in visible(text))


def undrawable(names: Iterable[str]) -> list[str]:
    """Names that have letters which no font here has."""
    return [name for name in names if drawable(name) != visible(name)]


@cache
def _has(letter: str) -> bool:
    if letter.isascii():
        return True
    return any(ord(letter) in _letters(name) for name in font_families())


@cache
def _letters(family: str) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(_files()[family]).get_charmap())


@cache
def _files() -> dict[str, str]:
    from matplotlib.font_manager import findfont, fontManager

    known = {font.name: font.fname for font in fontManager.ttflist if font.name in OTHERS}
    return {FONT: findfont(FONT), **known}
