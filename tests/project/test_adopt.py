"""After a change of code: what gives the same bytes is accepted, what does not is refused and left as it was."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from wheretolook.base.errors import InputError
from wheretolook.project.adopt import adopt, changed_stages

# DVC's own use of pygtrie, in process.
pytestmark = pytest.mark.filterwarnings("ignore:_NoneStep.value:DeprecationWarning")

MODELS = ("a", "b", "c")
DVC_YAML = """
stages:
  train:
    foreach: [a, b, c]
    do:
      cmd: python stages/train.py ${item} ${rate}
      deps: [stages/train.py, src/training]
      outs: ["models/${item}.txt"]
  export:
    foreach: [a, b, c]
    do:
      cmd: python stages/export.py ${item}
      deps: [stages/export.py, "models/${item}.txt"]
      outs:
        - cams/${item}.json:
            cache: false
"""
TRAIN = """
import sys
sys.path.insert(0, "src")
from training.rate import scaled
from pathlib import Path
Path("models").mkdir(exist_ok=True)
Path(f"models/{sys.argv[1]}.txt").write_text(f"{sys.argv[1]} {scaled(int(sys.argv[2]))}")
with open("log", "a") as log: log.write(f"train {sys.argv[1]}\\n")
"""
EXPORT = """
import sys
from pathlib import Path
Path("cams").mkdir(exist_ok=True)
Path(f"cams/{sys.argv[1]}.json").write_text(Path(f"models/{sys.argv[1]}.txt").read_text())
with open("log", "a") as log: log.write(f"export {sys.argv[1]}\\n")
"""


def dvc(root: Path, *words: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *words], cwd=root, check=True, capture_output=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline of six stages that has run."""
    root = tmp_path_factory.mktemp("finished")
    files = {
        "dvc.yaml": DVC_YAML,
        "params.yaml": "rate: 3\n",
        "stages/train.py": TRAIN,
        "stages/export.py": EXPORT,
        "src/training/rate.py": "def scaled(rate):\n    return 2 * rate\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    dvc(root, "init", "-q")
    with pytest.MonkeyPatch.context() as patch:
        _environment(patch)
        dvc(root, "repro", "-q")
    (root / "log").unlink()
    return root


@pytest.fixture
def root(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it for one test."""
    _environment(monkeypatch)
    return Path(shutil.copytree(finished, tmp_path / "project"))


def _environment(patch: pytest.MonkeyPatch) -> None:
    patch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    patch.setenv("PYTHONDONTWRITEBYTECODE", "1")


def ran(root: Path) -> list[str]:
    return (root / "log").read_text().split("\n")[:-1] if (root / "log").exists() else []


def test_a_comment_runs_the_sample_alone(root: Path) -> None:
    (root / "src/training/rate.py").write_text("# a comment\ndef scaled(rate):\n    return 2 * rate\n")
    done = adopt(root, 1, lambda line: None)
    assert done.ran == ("train@a",)
    assert set(done.accepted) == {"train@b", "train@c"}
    assert not done.left
    assert ran(root) == ["train a"]
    assert changed_stages(root) == []


def test_another_result_is_refused_and_everything_is_as_before(root: Path) -> None:
    before = {path: (root / path).read_bytes() for path in ("dvc.lock", "models/a.txt", "models/b.txt")}
    (root / "src/training/rate.py").write_text("def scaled(rate):\n    return 3 * rate\n")
    with pytest.raises(InputError) as caught:
        adopt(root, 1, lambda line: None)
    assert caught.value.subject == "train@a"
    assert "models/a.txt" in caught.value.found
    assert {path: (root / path).read_bytes() for path in before} == before
    assert ran(root) == ["train a"]


def test_a_changed_parameter_is_left_to_repro(root: Path) -> None:
    (root / "params.yaml").write_text("rate: 4\n")
    done = adopt(root, 1, lambda line: None)
    assert not done.ran
    assert not done.accepted
    assert done.left == {f"train@{name}": ("its command",) for name in MODELS}


def test_an_edited_output_is_never_accepted(root: Path) -> None:
    (root / "stages/export.py").write_text(EXPORT + "# a comment\n")
    (root / "cams/b.json").write_text("edited")
    done = adopt(root, 1, lambda line: None)
    assert done.ran == ("export@a",)
    assert done.accepted == ("export@c",)
    assert done.left == {"export@b": ("cams/b.json",)}
