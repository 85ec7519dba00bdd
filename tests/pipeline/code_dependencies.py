"""What a stage's script imports, file by file, and the same list as it stands in dvc.yaml.

`python -m tests.pipeline.code_dependencies --write` rewrites those lines of dvc.yaml (`make deps`).
"""

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
STAGES = ROOT / "stages"


def transitive_imports(script: Path) -> list[str]:
    """Files of the project that a script imports, directly or not, itself included; imports inside functions count.

    Empty `__init__.py` files hold no code and are left out.

    Returns:
        Posix paths relative to the root, sorted.
    """
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += imported_files(file)
    return sorted(file.relative_to(ROOT).as_posix() for file in found if file.read_text(encoding="utf-8").strip())


def imported_files(file: Path) -> list[Path]:
    """Files of the project that one file imports itself."""
    names: list[str] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), filename=str(file))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{file}: relative import; write it absolute"
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [module for name in names if (module := module_file(name, beside=file.parent))]


def module_file(name: str, beside: Path) -> Path | None:
    """The project's file of a module's name: in src/, or a stage's script that another stage imports."""
    parts = name.split(".")
    folders = [SOURCE, STAGES] if beside == STAGES else [SOURCE]
    for folder in folders:
        base = folder.joinpath(*parts)
        for candidate in (base.with_suffix(".py"), base / "__init__.py"):
            if candidate.is_file():
                return candidate
    return None


def rewritten(text: str) -> str:
    """dvc.yaml with each stage's code dependencies replaced by the imports of its script; all else as it was."""
    lines: list[str] = []
    for line in text.splitlines():
        if re.match(r"\s+- (src/\S+|stages/\S+)\.py$", line):
            script = re.match(r"(\s+)- stages/(\w+)\.py$", line)
            if script and _is_own_script(lines, script[2]):
                imports = transitive_imports(STAGES / f"{script[2]}.py")
                lines += [f"{script[1]}- {path}" for path in imports]
            continue
        lines.append(line)
    return "\n".join(lines) + "\n"


def _is_own_script(lines: list[str], name: str) -> bool:
    """Whether the stage whose block we are in runs this script."""
    command = next(line for line in reversed(lines) if line.strip().startswith("cmd: "))
    return f" stages/{name}.py" in command


if __name__ == "__main__":
    path = ROOT / "dvc.yaml"
    before = path.read_text(encoding="utf-8")
    after = rewritten(before)
    if "--write" in sys.argv[1:] and before != after:
        path.write_text(after, encoding="utf-8")
    print(f"dvc.yaml: {'rewritten' if before != after else 'as it should be'}")
