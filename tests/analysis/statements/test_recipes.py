"""What may be said of networks trained so: six seeds of one recipe or more, and a test over seeds."""

from pathlib import Path

import numpy as np
import pytest

from tests.analysis.made import Made, make
from wheretolook.analysis.agreement.agreement_rows import NULLS
from wheretolook.analysis.agreement.agreement_table import agreement_table
from wheretolook.analysis.agreement.study import load_study
from wheretolook.analysis.classes.class_differences import write_differences
from wheretolook.analysis.classes.differing import Differing
from wheretolook.analysis.located.places import Place
from wheretolook.analysis.statements import rules
from wheretolook.analysis.statements.claims import Claim, Findings
from wheretolook.analysis.statements.recipes import over_seeds, recipes_of, same_models
from wheretolook.analysis.statements.study_statements import study_statements
from wheretolook.data.prepared import load_prepared

SIX = tuple(f"last-{seed}" for seed in range(6))


def about(seed: int | None, loss: str = "last", sha: str = "") -> dict:
    return {"name": "", "loss": loss, "seed": seed, "recipe": f"of {loss}", "sha256": sha or f"{loss}{seed}"}


def test_models_of_one_recipe_are_counted_once_for_each_seed() -> None:
    models = {"a": about(0), "b": about(1), "c": about(0, "every"), "again": about(1), "foreign": about(None)}
    assert recipes_of(models, ()) == [("a", "b"), ("c",)]
    assert recipes_of(models, ("b",)) == [("a", "again"), ("c",)]


def test_one_file_under_two_names_is_one_model() -> None:
    assert same_models({"a": about(0), "b": about(1), "copy": about(0)}) == {"copy": "a"}


def said_of(made: Made, folder: Path, aligned: bool = False) -> dict:
    """Statements about a made-up project."""
    for name in SIX:
        (folder / name).mkdir(parents=True, exist_ok=True)
    root = made.root
    data = load_prepared(root / "data/prepared")
    study = load_study(root / "reports/names.json", root / "reports/exports", root / "data/cams", data, "test")
    _, tested = write_differences(study, folder, aligned, 400, 0)
    return study_statements(study, agreement_table(study, 199, 0), tested, 0.2, 199, 0)


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("six"), names=SIX, per_class=60)


def test_six_seeds_that_agree_speak_for_networks_trained_so(six: Made, tmp_path: Path) -> None:
    found = said_of(six, tmp_path)
    assert found["recipes"] == [list(SIX)]
    assert [each["rule"] for each in found["must_not"]] == [rules.CAUSE]
    infected = {each["statement"]: each["rule"] for each in found["classes"]["infected"]["holds"]}
    for words in ("look at the same places of an image", "look at the evidence"):
        assert infected[f"Networks trained like last-0 (6 seeds) {words}, in images of infected."] == rules.SEEDS
    spread = {each["statement"]: each["rule"] for each in found["classes"]["infected"]["must_not"]}
    told = "Networks trained like last-0 (6 seeds) tell infected from the rest at the rest of the foreground."
    assert spread[told] == rules.DIFFERENCE


def test_five_seeds_do_not(tmp_path: Path) -> None:
    found = said_of(make(tmp_path / "five", names=SIX[:5], per_class=60), tmp_path)
    assert found["must_not"][0]["rule"] == rules.RECIPE
    assert found["must_not"][0]["because"].endswith("seeds of one recipe: 5")
    assert all(each["rule"] != rules.SEEDS for each in found["classes"]["infected"]["holds"])


def test_copies_of_one_model_are_no_two_witnesses(tmp_path: Path) -> None:
    made = make(tmp_path / "made", names=("last-0", "last-1"), per_class=60)
    for path in (made.root / "reports/exports").iterdir():
        path.write_text(path.read_text().replace(f"{1:064}", f"{0:064}"))
    found = said_of(made, tmp_path)
    assert (found["models"], found["same"]) == (["last-0"], {"last-1": "last-0"})
    assert found["classes"]["infected"]["holds"] == []
    assert found["classes"]["infected"]["must_not"][0]["rule"] == rules.ALONE


def findings(excess: np.ndarray, energy: np.ndarray, p_seeds: float = 0.03) -> Findings:
    """Six models whose pairs have the mean excess of the two, and places with the energies and shares given."""
    rows = [
        {"model_a": SIX[a], "model_b": SIX[b]} | {f"excess_{null}": (excess[a] + excess[b]) / 2 for null in NULLS}
        for a in range(6)
        for b in range(a + 1, 6)
    ]
    places = {name: [Place("evidence", 40, energy[i], 0.05, 0.05, True)] for i, name in enumerate(SIX)}
    shares = dict(zip(SIX, energy, strict=True))
    differing = Differing("the evidence", "evidence", 0.001, 0.05, shares, dict.fromkeys(SIX, 0.1), p_seeds)
    return Findings("infected", 40, rows, places, 40, {SIX: [differing]}, "")


@pytest.mark.parametrize("kind", ["agreement", "place", "difference"])
def test_what_varies_from_seed_to_seed_is_not_said_of_the_recipe(kind: str) -> None:
    claim = Claim("", kind, True, "", "", "the evidence" if kind == "difference" else "evidence")
    steady, shaky = np.linspace(0.5, 0.6, 6), np.array([0.3, 0.3, 0.3, 0.3, 0.3, 1.6])
    assert over_seeds(claim, SIX, findings(steady, steady), 0.2)[0]
    assert not over_seeds(claim, SIX, findings(shaky, shaky - 0.2), 0.2)[0]


def test_difference_that_the_flips_of_signs_do_not_show_is_not_said() -> None:
    claim = Claim("", "difference", True, "", "", "the evidence")
    assert not over_seeds(claim, SIX, findings(np.ones(6), np.linspace(0.5, 0.6, 6), p_seeds=0.06), 0.2)[0]
