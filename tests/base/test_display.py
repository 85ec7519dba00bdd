import pytest

from wheretolook.base.errors import markdown_text, visible

HIDDEN = {
    "right to left \u202e": "right to left \\u202e",
    "isolate \u2066x\u2069": "isolate \\u2066x\\u2069",
    "zero\u200bwidth": "zero\\u200bwidth",
    "byte order \ufeff": "byte order \\ufeff",
    "soft\u00adhyphen": "soft\\xadhyphen",
    "line\u2028separator": "line\\u2028separator",
    "tag \U000e0041": "tag \\U000e0041",
    "escape \x1b[31m": "escape \\x1b[31m",
    "half \ud800": "half \\ud800",
}


@pytest.mark.parametrize("text", HIDDEN)
def test_what_is_not_seen_or_turns_others_round_is_escaped(text: str):
    assert visible(text) == HIDDEN[text]


@pytest.mark.parametrize("text", ["plain", "Café", "血細胞", "a\u00a0b", "two\nlines\tand a tab", "*", "שלום"])
def test_what_is_seen_stays_in_any_script(text: str):
    assert visible(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "<b>bold",
        "<!-- x",
        "*",
        "**a**",
        "_a_",
        "__init__",
        "[a](http://b)",
        "`a`",
        "# a",
        "a | b",
        "&lt;",
        "~~a~~",
        "$x$",
        "\\*",
    ],
)
def test_markdown_shows_a_name_as_it_is(text: str):
    markdown = pytest.importorskip("markdown_it").MarkdownIt("gfm-like", {"linkify": False})
    (inline,) = [token for token in markdown.parse(markdown_text(text)) if token.type == "inline"]
    assert "".join(token.content for token in inline.children) == text
    assert {token.type for token in inline.children} <= {"text", "text_special"}


def test_markdown_leaves_ordinary_names_alone():
    assert markdown_text("train.max_epochs: 5 % (a & b), 血") == "train.max_epochs: 5 % (a & b), 血"
