"""A stage's code dependencies in dvc.yaml are exactly the transitive imports of its script."""

import re

import pytest
import yaml

from tests.pipeline.code_dependencies import ROOT, STAGES, transitive_imports

BODIES = {
    name: stage.get("do", stage)
    for name, stage in yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"].items()
}


@pytest.mark.parametrize("stage", BODIES)
def test_code_dependencies_are_the_imports_of_the_script(stage: str) -> None:
    script = re.search(r"stages/(\w+)\.py", BODIES[stage]["cmd"])[1]
    named = [path for path in BODIES[stage]["deps"] if path.endswith(".py")]
    assert named == transitive_imports(STAGES / f"{script}.py"), "run `make deps`"


def test_every_stage_script_is_run_by_a_stage() -> None:
    run = {re.search(r"stages/(\w+)\.py", body["cmd"])[1] for body in BODIES.values()}
    assert run == {script.stem for script in STAGES.glob("*.py")}
