"""What `wheretolook look` is given on the command line: a model file, and images. No torch: a slip is told at once."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from PIL import Image

from wheretolook.base.display import readable
from wheretolook.base.errors import InputError
from wheretolook.base.files import is_junk
from wheretolook.dataset.prepared import place
from wheretolook.images.decode import SUFFIXES, decode_image, to_square
from wheretolook.terminal.command import explained

MODELS = Path("models")
SUFFIX = ".safetensors"
OTHER = "a pipe, a socket or a device"
# Bytes of a file system's name are 255: of IMAGE.METHOD.LAYER.CLASS.contrast.png, and a scratch name's end after that,
# these are for IMAGE and for CLASS.
LONGEST_IMAGE, LONGEST_CLASS = 130, 60
# So many files of a list are shown.
_SHOWN = 4


def check_model_path(path: Path) -> None:
    """Refuse a model that is no file.

    Raises:
        InputError: no such file, or a folder; the message names the model files that were likely meant. Or a pipe, a
            socket or a device, which has no end, or waits for ever.
    """
    if path.is_dir():
        raise InputError(path, expected="a model file", found="a folder", hint=_remedy(_model_files(path)))
    if not path.exists():
        places = (path.with_name(path.name + SUFFIX), MODELS / path.name, MODELS / f"{path.name}{SUFFIX}")
        meant = [place for place in places if place.is_file()]
        raise InputError(
            path, expected="a model file", found="no such file", hint=_remedy(meant or _model_files(MODELS))
        )
    if not path.is_file():
        raise InputError(path, expected="a model file", found=OTHER, hint=_remedy(_model_files(MODELS)))


def check_image_path(path: Path) -> None:
    """Refuse an image that is no file.

    Raises:
        InputError: nothing of this name, or a pipe, a socket or a device, which has no end, or waits for ever.
    """
    if not path.exists():
        raise InputError(path, expected="an image", found="no such file", hint=f"check its name (`ls {path.parent}`)")
    if not (path.is_file() or path.is_dir()):
        raise InputError(path, expected="an image", found=OTHER, hint="save what it gives as a file, and name that")


def find_images(given: Sequence[Path], out: Path) -> list[Path]:
    """The image files that are meant, each once: files as they are given, and of a folder all images below it, sorted.

    Args:
        given: files and folders. A file is taken whatever its name; whether it is an image, decoding shows.
        out: pictures that an earlier look left below this folder are not taken for images.

    Raises:
        InputError: the only one is missing, a folder without an image, or one that is `out`.
    """
    if len(given) == 1:
        check_image_path(given[0])
    found: dict[Path, Path] = {}
    for path in given:
        for file in _images_below(path, out) if path.is_dir() else [path]:
            found.setdefault(_full(file), file)
    return list(found.values())


def opened(path: Path) -> Image.Image:
    """One image, RGB.

    Raises:
        InputError: no file, one that can't be read, or no image. It is fit for a terminal, whatever the file's name.
    """
    try:
        check_image_path(path)
        return decode_image(path)
    except (OSError, InputError) as error:
        said = str(error) if isinstance(error, InputError) else explained(error)
        if said is None:
            raise
        raise InputError(readable(said)) from error


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
            return numbered([readable(name) for name in names], LONGEST_IMAGE)
        depth = deeper


def file_name(part: str, longest: int = LONGEST_IMAGE) -> str:
    """Letters, digits and a few signs stay; anything else, as a slash in a class name, becomes an underscore.

    Args:
        part: of a file name.
        longest: bytes. Of a longer part, the beginning stays, and then a mark of the whole, which no other has.
    """
    plain = re.sub(r"[^\w.+-]", "_", part)
    if len(plain.encode()) <= longest:
        return plain
    mark = sha256(part.encode()).hexdigest()[:8]
    return f"{plain.encode()[: longest - len(mark) - 1].decode(errors='ignore')}~{mark}"


def numbered(names: Sequence[str], longest: int) -> list[str]:
    """The names; those that would be the same as parts of file names are numbered, so that none are.

    Args:
        names: each once.
        longest: as for `file_name`.
    """
    plain = [file_name(name, longest) for name in names]
    count, seen = Counter(plain), Counter()
    taken = set(plain)
    result = []
    for name, same in zip(names, plain, strict=True):
        if count[same] == 1:
            result.append(name)
            continue
        while True:
            seen[same] += 1
            candidate = f"{name}-{seen[same]}"
            if (file := file_name(candidate, longest)) not in taken:
                break
        taken.add(file)
        result.append(candidate)
    return result


def _images_below(folder: Path, out: Path) -> list[Path]:
    whole, pictures = folder.resolve(), out.resolve()
    if whole == pictures:
        raise InputError(
            f"--out {out}", expected="another folder than that of the images", found="the same", hint="name another"
        )
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES
        and not is_junk(path.relative_to(folder).parts)
        and not (pictures.is_relative_to(whole) and _full(path).is_relative_to(pictures))
        and path.is_file()
    ]
    if not found:
        raise InputError(folder, expected=f"images ({', '.join(sorted(SUFFIXES))}) in the folder", found="none")
    return found


def _full(path: Path) -> Path:
    """The path from the root. The file itself may be a link, as into DVC's cache, and keeps its name."""
    return path.parent.resolve() / path.name


def _remedy(found: Sequence[Path]) -> str:
    if not found:
        return f"name one, as {MODELS / f'last-0{SUFFIX}'}; `dvc repro` trains those of params.yaml"
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"there is {', '.join(map(str, found[:_SHOWN]))}{more}"


def _model_files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{SUFFIX}"))


# How much of the paper's white lies over what the network did not see.
FADED = 0.65


@dataclass(frozen=True)
class Photo:
    """What lies under a map.

    Attributes:
        pixels: (H, W, 3) uint8.
        rows, columns: of the pixels, over which the map lies. All others are faded: the network did not see them.
    """

    pixels: np.ndarray
    rows: slice
    columns: slice


def photo_of(image: Image.Image, longest: int, fit: str) -> Photo:
    """An image at the size of a picture.

    Stretched, it keeps its own proportions, and the map is stretched back over it. Cropped, it is whole, and the map
    lies over the square that was cut out. Padded, it stands in its black square, on which a network may rely too.

    Args:
        image: RGB, of any size.
        longest: pixels of the result's longer side.
        fit: how the image becomes a square for the network: "stretch", "pad" or "crop".
    """
    if fit == "pad":
        return Photo(to_square(image, longest, fit), slice(0, longest), slice(0, longest))
    scale = longest / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    pixels = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    if fit == "stretch":
        return Photo(pixels, slice(0, height), slice(0, width))
    left, upper, right, lower = (int(edge) for edge in place(width, height, 1, fit).box)
    seen = np.full(pixels.shape[:2], fill_value=False)
    seen[upper:lower, left:right] = True
    faded = np.rint(pixels * (1 - FADED) + 255 * FADED).astype(np.uint8)
    return Photo(np.where(seen[:, :, None], pixels, faded), slice(upper, lower), slice(left, right))
