"""Write the generated parts of docs/: parameters.md, and the tables of results.md. `make docs` runs it."""

import re
from pathlib import Path

from wheretolook.analysis.results.changed_images import (
    CueCost,
    LookAlike,
    OcclusionRow,
    RegionCost,
    RestCost,
    Sanity,
    SanityStep,
    StabilityRow,
)
from wheretolook.analysis.results.comparison_result import (
    AgreementResult,
    AgreementRow,
    ClassResult,
    Primary,
    RecognitionResult,
    ShiftedModel,
    ShiftResult,
    StatementsResult,
    ThresholdsUsed,
)
from wheretolook.analysis.results.schema import markdown
from wheretolook.analysis.results.scored_model import (
    AboutModel,
    AttributeValue,
    ClassScores,
    EstimatedForeground,
    HeadScores,
    Localisation,
    ModelResult,
    SplitScores,
)
from wheretolook.analysis.results.statement import Basins, Figure, Kind, Reason, Scope, Statement, Twin, Verdict
from wheretolook.project.params_file import PAGE, parameters_page

ROOT = Path(__file__).parents[1]
RESULTS = "docs/results.md"

DOCUMENTED: tuple[type, ...] = (
    *(ModelResult, AboutModel, SplitScores, ClassScores, HeadScores, Localisation, EstimatedForeground),
    *(ShiftResult, ShiftedModel, AttributeValue),
    *(RegionCost, RestCost, CueCost, LookAlike, OcclusionRow, Sanity, SanityStep, StabilityRow),
    *(AgreementResult, AgreementRow),
    *(StatementsResult, ThresholdsUsed, Primary, ClassResult, RecognitionResult, Twin, Basins),
    *(Statement, Figure, Kind, Verdict, Reason, Scope),
)
BLOCK = re.compile(r"(<!-- table of (\w+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def with_tables(text: str) -> str:
    """A page in Markdown with the table of each class between its two comments.

    Raises:
        KeyError: a table of an unknown class.
    """
    known = {kind.__name__: kind for kind in DOCUMENTED}
    return BLOCK.sub(lambda block: f"{block[1]}{markdown(known[block[2]])}\n{block[3]}", text)


def tables_in(text: str) -> list[str]:
    """Names of the classes whose tables a page has."""
    return [block[2] for block in BLOCK.finditer(text)]


def pages() -> dict[str, str]:
    """The text of each page that is generated, whole or in parts, by its path."""
    return {PAGE: parameters_page(), RESULTS: with_tables((ROOT / RESULTS).read_text(encoding="utf-8"))}


if __name__ == "__main__":
    for page, text in pages().items():
        (ROOT / page).write_text(text, encoding="utf-8")
        print(f"docs: wrote {page}")
