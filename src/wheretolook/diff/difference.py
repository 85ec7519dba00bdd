"""The whole difference of two sides, or of two models of one."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wheretolook.data.refusal import Refusal
from wheretolook.diff.agreement import AgreementChange, agreement_changes, agreement_of
from wheretolook.diff.models import ModelChange, compare_model
from wheretolook.diff.side import WORKSPACE, Side, side_of
from wheretolook.pipeline.locked import check_root


@dataclass(frozen=True)
class Difference:
    """What changed from A to B.

    Attributes:
        a, b: what they are called.
        models: those that stand on both sides, or the one pair.
        added, removed: models that stand on one side only.
        agreement: of every two models; of the pair alone where A and B are models, without what it was.
    """

    a: str
    b: str
    models: tuple[ModelChange, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    agreement: tuple[AgreementChange, ...]


@dataclass(frozen=True)
class Compared:
    """A difference, and the two sides as long as they are open: pictures are drawn from them."""

    difference: Difference
    a: Side
    b: Side


@contextmanager
def compare(root: Path, a: str, b: str, count: int) -> Iterator[Compared]:
    """Compare two models of this tree, or two revisions; a name that is both is the model.

    Args:
        root: the folder of dvc.yaml.
        a, b: two names of models, or two of revisions, "workspace" for the folder as it stands.
        count: images whose maps moved most to be named, for each model.

    Raises:
        Refusal: one is neither, or the two are of different kinds; or results are missing.
    """
    check_root(root)
    with side_of(root, WORKSPACE) as here:
        models = here.names if (root / "reports/names.json").is_file() else []
        if a in models and b in models:
            yield Compared(_models(here, a, b, count), here, here)
            return
    if a in models or b in models:
        model, other = (a, b) if a in models else (b, a)
        found = "a second one is missing" if other == WORKSPACE else f"{other} is none of {', '.join(models)}"
        raise Refusal(f"{a} {b}: expected two models or two revisions; {model} is a model, {found}")
    with side_of(root, a) as first, side_of(root, b) as second:
        yield Compared(_sides(first, second, count), first, second)


def _models(side: Side, a: str, b: str, count: int) -> Difference:
    return Difference(a, b, (compare_model(side, a, side, b, count),), (), (), agreement_of(side, a, b))


def _sides(a: Side, b: Side, count: int) -> Difference:
    both = [name for name in b.names if name in a.names]
    return Difference(
        a.label,
        b.label,
        tuple(compare_model(a, name, b, name, count) for name in both),
        tuple(name for name in b.names if name not in a.names),
        tuple(name for name in a.names if name not in b.names),
        agreement_changes(a, b),
    )
