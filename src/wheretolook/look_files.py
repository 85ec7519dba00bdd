"""What `wheretolook look` is given on the command line: a model file, and images. No torch: a slip is told at once."""

from collections.abc import Sequence
from pathlib import Path

from wheretolook.data.refusal import Refusal

MODELS = Path("models")
SUFFIX = ".safetensors"
# So many files of a list are shown.
_SHOWN = 4


def check_model_path(path: Path) -> None:
    """Refuse a model that is no file.

    Raises:
        Refusal: no such file, or a folder; the message names the model files that were likely meant.
    """
    if path.is_dir():
        raise Refusal(f"{path}: expected a model file, found a folder; {_remedy(_model_files(path))}")
    if not path.exists():
        places = (path.with_name(path.name + SUFFIX), MODELS / path.name, MODELS / f"{path.name}{SUFFIX}")
        meant = [place for place in places if place.is_file()]
        raise Refusal(f"{path}: expected a model file, found no such file; {_remedy(meant or _model_files(MODELS))}")


def check_image_paths(paths: Sequence[Path]) -> None:
    """Refuse an image that is no file.

    Raises:
        Refusal: no such file, or a folder.
    """
    for path in paths:
        if path.is_dir():
            raise Refusal(f"{path}: expected an image, found a folder; name the files in it, as {path}/*.png")
        if not path.exists():
            raise Refusal(f"{path}: expected an image, found no such file; check its name (`ls {path.parent}`)")


def _remedy(found: Sequence[Path]) -> str:
    if not found:
        return f"name one, as {MODELS / f'last-0{SUFFIX}'}; `dvc repro` trains those of params.yaml"
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"there is {', '.join(map(str, found[:_SHOWN]))}{more}"


def _model_files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{SUFFIX}"))
