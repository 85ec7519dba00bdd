"""Arguments of `wheretolook look`: check the model file, find, name and open the images.

The module does not load PyTorch, so that a wrong argument is reported immediately.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from PIL import Image

from wheretolook.analysis.grid import enlarge
from wheretolook.base.errors import InputError, readable
from wheretolook.base.files import is_junk
from wheretolook.base.prepared import place
from wheretolook.base.terminal.command import explained
from wheretolook.images.decode import SUFFIXES, decode_image, to_square

MODELS = Path("models")
SUFFIX = ".safetensors"
SPECIAL_FILE = "a pipe, a socket or a device"
# File names are limited to 255 bytes. IMAGE.METHOD.LAYER.CLASS.contrast.png, plus the suffix of a temporary file, may
# use this many for IMAGE and for CLASS.
LONGEST_IMAGE, LONGEST_CLASS = 130, 60
_SHOWN = 4  # model files in a message

FADED = 0.65  # opacity of the white over parts of the image outside the network's input


def check_model_path(path: Path) -> None:
    """Check that the model is a regular file.

    Raises:
        InputError: it is missing, a folder (the hint lists model files), or a pipe, socket or device, which reading
            could block on forever.
    """
    if path.is_dir():
        raise InputError(path, expected="a model file", found="a folder", hint=_model_hint(_model_files(path)))
    if not path.exists():
        candidates = (path.with_name(path.name + SUFFIX), MODELS / path.name, MODELS / f"{path.name}{SUFFIX}")
        similar = [candidate for candidate in candidates if candidate.is_file()]
        raise InputError(
            path, expected="a model file", found="no such file", hint=_model_hint(similar or _model_files(MODELS))
        )
    if not path.is_file():
        raise InputError(path, expected="a model file", found=SPECIAL_FILE, hint=_model_hint(_model_files(MODELS)))


def check_image_path(path: Path) -> None:
    """Check that the image is a regular file or a folder.

    Raises:
        InputError: it is missing, or a pipe, socket or device, which reading could block on forever.
    """
    if not path.exists():
        raise InputError(path, expected="an image", found="no such file", hint=f"check the name (`ls {path.parent}`)")
    if not (path.is_file() or path.is_dir()):
        raise InputError(path, expected="an image", found=SPECIAL_FILE, hint="save its content to a file first")


def find_images(given: Sequence[Path], out: Path) -> list[Path]:
    """List the image files, each once: given files, and all images below given folders, sorted.

    Args:
        given: files and folders. Files may have any suffix; decoding shows whether they are images.
        out: the output folder; pictures in it, from an earlier run, are skipped.

    Raises:
        InputError: the only argument is missing, or a folder has no images or is `out`.
    """
    if len(given) == 1:
        check_image_path(given[0])
    files: dict[Path, Path] = {}
    for path in given:
        for file in _images_below(path, out) if path.is_dir() else [path]:
            files.setdefault(_absolute(file), file)
    return list(files.values())


def open_image(path: Path) -> Image.Image:
    """Decode one image as RGB.

    Raises:
        InputError: the file is missing, cannot be read or is not an image. Its fields are safe to print, whatever
            characters the file name has.
    """
    try:
        check_image_path(path)
        return decode_image(path)
    except (OSError, InputError) as error:
        if isinstance(error, InputError):
            fields = (error.subject, error.expected, error.found, error.hint)
            raise InputError(*map(readable, fields)) from error
        message = explained(error)
        if message is None:
            raise
        raise InputError(readable(message)) from error


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """Give each image a unique name: its file name, preceded by as many parent folders as needed.

    `0000.png` alone is "0000"; `a/0000.png` and `b/0000.png` are "a/0000" and "b/0000"; `0.png` and `0.jpg` in one
    folder are "0.png" and "0.jpg". Names that become equal in file names, such as "a/0" and "a_0", are numbered.

    Args:
        paths: distinct files.
    """
    full = [_absolute(path) for path in paths]
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
    """Make text safe for a file name: characters other than letters, digits and `_.+-` become underscores.

    Args:
        part: any text.
        longest: bytes; longer text is cut, and a hash of the whole text appended.
    """
    plain = re.sub(r"[^\w.+-]", "_", part)
    if len(plain.encode()) <= longest:
        return plain
    suffix = sha256(part.encode()).hexdigest()[:8]
    return f"{plain.encode()[: longest - len(suffix) - 1].decode(errors='ignore')}~{suffix}"


def numbered(names: Sequence[str], longest: int) -> list[str]:
    """Number those names that `file_name` would make equal.

    Args:
        names: distinct names.
        longest: as for `file_name`.
    """
    plain = [file_name(name, longest) for name in names]
    count: Counter[str] = Counter(plain)
    used: Counter[str] = Counter()
    taken = set(plain)
    result = []
    for name, same in zip(names, plain, strict=True):
        if count[same] == 1:
            result.append(name)
            continue
        while True:
            used[same] += 1
            candidate = f"{name}-{used[same]}"
            if (file := file_name(candidate, longest)) not in taken:
                break
        taken.add(file)
        result.append(candidate)
    return result


def _images_below(folder: Path, out: Path) -> list[Path]:
    searched, output = folder.resolve(), out.resolve()
    if searched == output:
        raise InputError(
            f"--out {out}",
            expected="a folder other than that of the images",
            found="the same folder",
            hint="choose another --out",
        )
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES
        and not is_junk(path.relative_to(folder).parts)
        and not (output.is_relative_to(searched) and _absolute(path).is_relative_to(output))
        and path.is_file()
    ]
    if not found:
        raise InputError(folder, expected=f"images ({', '.join(sorted(SUFFIXES))}) in the folder", found="none")
    return found


def _absolute(path: Path) -> Path:
    """Absolute path with resolved folder links. The file itself may be a link, for instance into DVC's cache."""
    return path.parent.resolve() / path.name


def _model_hint(files: Sequence[Path]) -> str:
    """Suggest model files; if there are none, how to train one."""
    if not files:
        return f"give a file such as {MODELS / f'last-0{SUFFIX}'}; `dvc repro` trains the models of params.yaml"
    more = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
    return f"available: {', '.join(map(str, files[:_SHOWN]))}{more}"


def _model_files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{SUFFIX}"))


Box = tuple[float, float, float, float]  # left, top, right, bottom
FINE = 224  # cells a side at which a box is found


@dataclass(frozen=True)
class Photo:
    """The image under a map.

    Attributes:
        pixels: (H, W, 3) uint8.
        rows, columns: the part that the network saw, and that the map covers; the rest is faded.
        size: width and height of the image itself.
        padded: whether `pixels` are the image with borders that make it square.
    """

    pixels: np.ndarray
    rows: slice
    columns: slice
    size: tuple[int, int]
    padded: bool = False

    def pixels_of(self, box: Box) -> Box:
        """A box of the map, in pixels of `pixels`."""
        ends = (self.columns, self.rows) * 2
        left, top, right, bottom = (e.start + at * (e.stop - e.start) for e, at in zip(ends, box, strict=True))
        return left, top, right, bottom

    def image_box(self, box: Box) -> tuple[int, int, int, int]:
        """A box of the map as left, top, right and bottom in pixels of the image itself, upright."""
        longest = max(self.size)
        scale = longest / max(self.pixels.shape[:2])
        edges = []
        for at, side in zip(self.pixels_of(box), self.size * 2, strict=True):
            border = (longest - side) / 2 if self.padded else 0.0
            edges.append(min(max(round(at * scale - border), 0), side))
        left, top, right, bottom = edges
        return left, top, right, bottom


def box_around_peak(values: np.ndarray, share: float) -> Box | None:
    """The box around the connected region of a map's maximum where the map is at least a share of that maximum.

    Zhou et al. 2016 (arXiv:1512.04150), section 3.1, take 0.2, and the largest of such regions.

    Args:
        values: (h, w) signed map; smoothed as in a picture.
        share: above 0, at most 1.

    Returns:
        Left, top, right and bottom as shares of the map's sides; None if the map has no positive value.
    """
    from scipy.ndimage import label

    smooth = enlarge(values[None], FINE)[0]
    if (peak := float(smooth.max())) <= 0:
        return None
    regions, _ = label(smooth >= share * peak)
    rows, columns = np.nonzero(regions == regions[np.unravel_index(smooth.argmax(), smooth.shape)])
    return columns.min() / FINE, rows.min() / FINE, (columns.max() + 1) / FINE, (rows.max() + 1) / FINE


def photo_of(image: Image.Image, longest: int, fit: str) -> Photo:
    """Resize an image for a picture.

    "stretch" keeps the image's proportions, and the map is stretched over it. "crop" shows the whole image, with the
    map over the square that the network saw. "pad" shows the padded square, since a network may use its borders.

    Args:
        image: RGB, of any size.
        longest: longer side of the result, in pixels.
        fit: how the image is made square for the network: "stretch", "pad" or "crop".
    """
    if fit == "pad":
        return Photo(to_square(image, longest, fit), slice(0, longest), slice(0, longest), image.size, padded=True)
    scale = longest / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    pixels = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    if fit == "stretch":
        return Photo(pixels, slice(0, height), slice(0, width), image.size)
    left, upper, right, lower = (int(edge) for edge in place(width, height, 1, fit).box)
    seen = np.full(pixels.shape[:2], fill_value=False)
    seen[upper:lower, left:right] = True
    faded = np.rint(pixels * (1 - FADED) + 255 * FADED).astype(np.uint8)
    return Photo(np.where(seen[:, :, None], pixels, faded), slice(upper, lower), slice(left, right), image.size)
