"""A difference as one page that opens from disk, in the clothes of the report."""

import base64
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from wheretolook.diff.difference import Difference
from wheretolook.diff.tables import sentences_of, tables_of


def page_of(difference: Difference, pictures: Mapping[str, Path]) -> str:
    """The page, with its pictures inside.

    Args:
        difference: what changed.
        pictures: PNG files by model's name.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    templates = Environment(
        loader=PackageLoader("wheretolook.diff"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    styles = (files("wheretolook.report") / "templates" / "style.css").read_text(encoding="utf-8")
    return templates.get_template("diff.html.j2").render(
        difference=difference,
        sentences=sentences_of(difference),
        tables=tables_of(difference),
        pictures={name: base64.b64encode(path.read_bytes()).decode("ascii") for name, path in pictures.items()},
        styles=Markup(styles),
    )
