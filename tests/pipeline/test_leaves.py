"""Each leaf of params.yaml, changed, would re-run exactly the stages that depend on it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import networkx
import pytest
from dvc.parsing import DataResolver
from dvc.repo import Repo
from ruamel.yaml import YAML

from tests.pipeline.project import Project, copy_project
from wheretolook.project.params_file import read_params

# DVC's own use of pygtrie, in process.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")

DRIVE = {"from-drive": {"id": "abc", "sha256": "0" * 64}}
TRAINED = ["last-0", "last-1", "every-0", "every-1"]

# Who depends on whom. `check` reads the whole file, so it is in every row; its output holds names alone.
SCORES = [*(f"score@{name}" for name in TRAINED), "score-drive@from-drive"]
EXPORTS = [*(f"export@{name}" for name in TRAINED), "export-drive@from-drive"]
TRAINS = [f"train@{name}" for name in TRAINED]
AFTER_TRAINING = [*(f"{stage}@{name}" for stage in ("export", "score") for name in TRAINED), "compare", "report"]
TABLE = {
    "fetch": ["fetch", "prepare", *TRAINS, *EXPORTS, *SCORES, "compare", "report"],
    "prepare": ["prepare", *TRAINS, *EXPORTS, *SCORES, "compare", "report"],
    "train": [*TRAINS, *AFTER_TRAINING],
    "drive.from-drive": ["sync@from-drive", "export-drive@from-drive", "score-drive@from-drive", "compare", "report"],
    "export": [*EXPORTS, *SCORES, "compare", "report"],
    "score": [*SCORES, "compare", "report"],
    "compare": ["compare", "report"],
    "report": ["report"],
} | {f"models.{name}": [f"train@{name}", f"export@{name}", f"score@{name}", "compare", "report"] for name in TRAINED}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The DAG with a model from Drive, every output a stand-in that DVC takes for the real one."""
    project = copy_project(tmp_path_factory.mktemp("leaves"))
    params = project.read_params()
    params["drive"] = DRIVE
    project.write_params(params)
    with Repo(str(project.root)) as repo:
        outs = [(out.fs_path, bool(Path(out.fs_path).suffix)) for stage in repo.index.stages for out in stage.outs]
    for path, is_file in outs:
        stand_in = Path(path) if is_file else Path(path) / "stand-in"
        stand_in.parent.mkdir(parents=True, exist_ok=True)
        stand_in.write_text(path.removeprefix(str(project.root)))
    for name in [*TRAINED, *DRIVE]:
        (project.root / f"reports/code/{name}.json").write_text("{}")
    project.dvc("commit", "--force", "--quiet")
    return project


def leaves(params: dict[str, Any], above: str = "") -> Iterator[str]:
    """Dotted names of every value."""
    for key, value in params.items():
        name = f"{above}.{key}" if above else key
        if isinstance(value, dict) and value:
            yield from leaves(value, name)
        elif not isinstance(value, dict):
            yield name


def change(params: dict[str, Any], leaf: str) -> None:
    """Give one leaf another value of its type."""
    *way, last = leaf.split(".")
    for key in way:
        params = params[key]
    value = params[last]
    if isinstance(value, bool):
        params[last] = not value
    elif isinstance(value, list):
        params[last] = [*value, "another"]
    else:
        params[last] = value + 1 if isinstance(value, int | float) else f"{value}x"


def commands(root: Path, definition: dict[str, Any], repo: Repo) -> dict[str, str]:
    """Every stage's command, as DVC's templating makes it; without dvc.lock, which takes longer to read."""
    stages = DataResolver(repo, str(root), definition).resolve()["stages"]
    return {name: stage["cmd"] for name, stage in stages.items()}


def followers(root: Path) -> dict[str, set[str]]:
    """What follows from each stage; `check` changes nothing that others read."""
    with Repo(str(root)) as repo:
        graph = repo.index.graph
        after = {stage.name: {other.name for other in networkx.ancestors(graph, stage)} for stage in repo.index.stages}
    return after | {"check": set()}


def changed_for_dvc(root: Path) -> set[str]:
    """Stages that DVC itself calls changed: slower than comparing commands, since it looks at every dependency."""
    with Repo(str(root)) as repo:
        return {name.rpartition(":")[2] for name in repo.status()}


def test_nothing_would_run_before_a_change(project: Project) -> None:
    assert changed_for_dvc(project.root) == set()


def test_every_leaf_reruns_exactly_its_stages(project: Project) -> None:
    """DVC runs a stage again when its command changed; `check` depends on the file. Each row asks DVC itself once."""
    original, after, asked = (project.root / "params.yaml").read_bytes(), followers(project.root), set()
    definition = YAML(typ="safe").load(project.root / "dvc.yaml")
    names = list(leaves(project.read_params()))
    assert len(names) > 30
    with Repo(str(project.root)) as repo:
        before = commands(project.root, definition, repo)
        for leaf in names:
            params = project.read_params()
            change(params, leaf)
            project.write_params(params)
            row = next(row for row in TABLE if leaf.startswith(f"{row}."))
            try:
                found = commands(project.root, definition, repo)
                changed = {"check"} | {name for name, command in found.items() if command != before[name]}
                assert changed.union(*(after[name] for name in changed)) == {"check", *TABLE[row]}, leaf
                models = read_params((project.root / "params.yaml").read_text(encoding="utf-8"))
                assert list(models["models"]) == TRAINED, "a leaf changed what `check` writes"
                if row not in asked:
                    asked.add(row)
                    assert changed_for_dvc(project.root) == changed, leaf
            finally:
                (project.root / "params.yaml").write_bytes(original)


def test_an_edit_of_the_code_of_one_network_reruns_that_model_alone(project: Project) -> None:
    """`check` runs for an edit below networks/, and writes another hash for the models that use the file."""
    file, code = project.root / "networks/talk.py", project.root / "reports/code/last-0.json"
    before = file.read_bytes()
    try:
        file.write_bytes(before + b"\n# a comment\n")
        assert changed_for_dvc(project.root) == {"check"}
        code.write_text('{"networks/talk.py": "1"}')
        followers = {"train@last-0", "export@last-0", "score@last-0"}
        assert changed_for_dvc(project.root) == {"check"} | followers
    finally:
        file.write_bytes(before)
        code.write_text("{}")


def test_every_section_is_in_the_table(project: Project) -> None:
    sections = {leaf.split(".")[0] for leaf in leaves(project.read_params())}
    assert sections == {row.split(".")[0] for row in TABLE}
