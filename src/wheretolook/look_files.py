"""What `wheretolook look` is given on the command line: a model file, and images. No torch: a slip is told at once."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from wheretolook.data.decode import SUFFIXES
from wheretolook.data.junk import is_junk
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


def check_image_path(path: Path) -> None:
    """Refuse an image that is no file.

    Raises:
        Refusal: nothing of this name.
    """
    if not path.exists():
        raise Refusal(f"{path}: expected an image, found no such file; check its name (`ls {path.parent}`)")


def find_images(given: Sequence[Path], out: Path) -> list[Path]:
    """The image files that are meant, each once: files as they are given, and of a folder all images below it, sorted.

    Args:
        given: files and folders. A file is taken whatever its name; whether it is an image, decoding shows.
        out: pictures that an earlier look left below this folder are not taken for images.

    Raises:
        Refusal: the only one is missing, a folder without an image, or one that is `out`.
    """
    if len(given) == 1:
        check_image_path(given[0])
    found: dict[Path, Path] = {}
    for path in given:
        for file in _images_below(path, out) if path.is_dir() else [path]:
            found.setdefault(_full(file), file)
    return list(found.values())


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """A name for each image that no other has: its file name, after as many parent folders as tell it from others.

    `0000.png` alone is "0000"; `a/0000.png` and `b/0000.png` are "a/0000" and "b/0000"; `0.png` and `0.jpg` in one
    folder are "0.png" and "0.jpg". Names that would be the same as parts of file names, as "a/0" and "a_0", are
    numbered.

    Args:
        paths: different files.
    """
    full = [_full(path) for path in paths]
    stems = Counter((path.parent, path.stem) for path in full)
    parts = [(*path.parts[1:-1], path.name if stems[path.parent, path.stem] > 1 else path.stem) for path in full]
    depth = [1] * len(parts)
    while True:
        names = ["/".join(part[-n:]) for part, n in zip(parts, depth, strict=True)]
        count = Counter(names)
        deeper = [min(n + (count[name] > 1), len(part)) for n, name, part in zip(depth, names, parts, strict=True)]
        if deeper == depth:
            return _numbered([_printable(name) for name in names])
        depth = deeper


def file_name(part: str) -> str:
    """Letters, digits and a few signs stay; anything else, as a slash in a class name, becomes an underscore."""
    return re.sub(r"[^\w.+-]", "_", part)


def _images_below(folder: Path, out: Path) -> list[Path]:
    whole, pictures = folder.resolve(), out.resolve()
    if whole == pictures:
        raise Refusal(f"--out {out}: expected another folder than that of the images, found the same; name another")
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES
        and not is_junk(path.relative_to(folder).parts)
        and not (pictures.is_relative_to(whole) and _full(path).is_relative_to(pictures))
        and path.is_file()
    ]
    if not found:
        raise Refusal(f"{folder}: expected images ({', '.join(sorted(SUFFIXES))}) in the folder, found none")
    return found


def _full(path: Path) -> Path:
    """The path from the root. The file itself may be a link, as into DVC's cache, and keeps its name."""
    return path.parent.resolve() / path.name


def _numbered(names: list[str]) -> list[str]:
    count, seen = Counter(map(file_name, names)), Counter()
    numbered = []
    for name in names:
        seen[file_name(name)] += 1
        numbered.append(f"{name}-{seen[file_name(name)]}" if count[file_name(name)] > 1 else name)
    return numbered


def _printable(name: str) -> str:
    """Bytes that are no UTF-8, which neither a terminal nor a CSV file takes, replaced."""
    return name.encode("utf-8", "replace").decode("utf-8")


def _remedy(found: Sequence[Path]) -> str:
    if not found:
        return f"name one, as {MODELS / f'last-0{SUFFIX}'}; `dvc repro` trains those of params.yaml"
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"there is {', '.join(map(str, found[:_SHOWN]))}{more}"


def _model_files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{SUFFIX}"))
