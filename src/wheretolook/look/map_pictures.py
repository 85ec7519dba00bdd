"""One map drawn over its image, with Pillow: for the console, where matplotlib would take longer than the network."""

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from wheretolook.analysis.explained import contrast_with_mean
from wheretolook.analysis.grid import enlarge
from wheretolook.analysis.statistics.classification import softmax
from wheretolook.base.errors import InputError
from wheretolook.base.files import remove_unfinished_of, replacing
from wheretolook.base.resources import usable_cores
from wheretolook.cams.engine import Engine
from wheretolook.cams.explain import PREDICTED, Explanation, choose_classes, explain_with
from wheretolook.cams.method_registry import METHODS
from wheretolook.images.decode import to_square
from wheretolook.layers.layout import SHOWN, NotFinite
from wheretolook.look.image_files import LONGEST_CLASS, Photo, distinct_names, file_name, numbered, opened, photo_of
from wheretolook.look.requests import BATCH, MapRequest, build, settled_fit
from wheretolook.networks.card import Card
from wheretolook.networks.checkpoint import load_model
from wheretolook.networks.inputs import model_input
from wheretolook.report.drawing import colour, opacity
from wheretolook.runtime.device import choose_device

SIDE = 448
STRONGEST = 0.8
PAPER, INK, SOFT = "#ffffff", "#1d1b19", "#5f5a54"


@dataclass(frozen=True)
class Overlay:
    """What one picture shows.

    Attributes:
        stem: file name without a suffix.
        photo: what the map is drawn over.
        values: (h, w) float32, the raw map.
        title: class, score, method and layer, in words.
        units: of the map.
        knows_class: whether the map is of a class, and its sign for or against it.
    """

    stem: str
    photo: Photo
    values: np.ndarray
    title: str
    units: str
    knows_class: bool = True


def write_overlay(folder: Path, overlay: Overlay) -> tuple[str, str]:
    """Write the picture as PNG and the raw map as `.npy`, each whole or not at all; gives the two files' names."""
    picture, values = f"{overlay.stem}.png", f"{overlay.stem}.npy"
    with replacing(folder / picture, sweep=False) as scratch:
        # Pillow's own level takes more than twice the time, which is most of what a picture costs, for 7 % of the size.
        draw_overlay(overlay).save(scratch, format="PNG", compress_level=4)
    with replacing(folder / values, sweep=False) as scratch, scratch.open("wb") as file:
        np.save(file, overlay.values)
    return picture, values


def draw_overlay(overlay: Overlay) -> Image.Image:
    """The image with its map over it, red above zero and blue below, under a title: RGB, SIDE pixels wide or more.

    Where the map knows a class, red speaks for it and blue against. Full colour stands at the largest absolute value of
    this map, which the line below the title names.
    """
    limit = float(np.abs(overlay.values).max()) or 1.0
    pixels, seen = overlay.photo.pixels.copy(), (overlay.photo.rows, overlay.photo.columns)
    under = pixels[seen]
    unit = enlarge(overlay.values[None] / limit, under.shape[:2])[0]
    share = STRONGEST * opacity(unit)[:, :, None]
    pixels[seen] = np.rint(under * (1 - share) + colour(unit, signed=True) * share)
    height, width = pixels.shape[:2]
    # A title is as wide as it would be over a square, whatever the photo's proportions.
    across = max(SIDE, width)
    signs = "red for, blue against" if overlay.knows_class else "red above zero, blue below"
    lines = ((overlay.title, 16, INK), (f"{signs}; full at {limit:.3g} {overlay.units}", 12, SOFT))
    page = Image.new("RGB", (across, height + 54), PAPER)
    page.paste(Image.fromarray(pixels), ((across - width) // 2, 54))
    pen = ImageDraw.Draw(page)
    for (text, points, ink), top in zip(lines, (6, 31), strict=True):
        pen.text((8, top), text, fill=ink, font=_fitting(text, points, across - 16))
    return page


def _fitting(text: str, points: int, width: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """A font at `points`, or as much smaller as the text needs to fit."""
    length = _font(points).getlength(text)
    return _font(points if length <= width else max(6, int(points * width / length)))


def _font(points: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font of the figures, which has Greek and Cyrillic too, found without importing matplotlib; else Pillow's."""
    found = find_spec("matplotlib")
    path = Path(found.origin).parent / "mpl-data/fonts/ttf/DejaVuSans.ttf" if found and found.origin else None
    return ImageFont.truetype(path, points) if path and path.is_file() else ImageFont.load_default(points)


@dataclass(frozen=True)
class Looked:
    """A batch of images, what the model says of them, and where it looks.

    Attributes:
        names: of the images, each once.
        photos: the images as pictures show them.
        class_names: of the logits.
        found: the maps.
        contrast: whether each is the class's map less the mean of the others'.
    """

    names: tuple[str, ...]
    photos: Sequence[Photo]
    class_names: tuple[str, ...]
    found: Explanation
    contrast: bool = False

    @property
    def scores(self) -> np.ndarray:
        """(N, classes), softmax of the logits."""
        return softmax(self.found.logits)

    def overlays(self) -> Iterator[Overlay]:
        """Each picture: image by image, then by method and layer, then by class."""
        scores = self.scores
        class_files = [file_name(name, LONGEST_CLASS) for name in numbered(self.class_names, LONGEST_CLASS)]
        for i, name in enumerate(self.names):
            for (method, layer), maps in self.found.maps.items():
                for k in range(maps.shape[1]):
                    class_index = self.found.class_index[i, k]
                    class_name, score = self.class_names[class_index], scores[i, class_index]
                    known = METHODS[method].knows_class
                    stem = [
                        file_name(name),
                        method,
                        layer,
                        *([class_files[class_index]] if known else []),
                        *(["contrast"] if self.contrast else []),
                    ]
                    what = f"{method} contrast" if self.contrast else method
                    title = (
                        f"{class_name} {score:.3f} · {what} · {layer}" if known else f"{method} · {layer} · any class"
                    )
                    yield Overlay(
                        ".".join(stem),
                        self.photos[i],
                        maps[i, k],
                        title,
                        METHODS[method].units,
                        known,
                    )


@dataclass(frozen=True)
class ShownImage:
    """What was written.

    Attributes:
        names: of the N images that were read, each once.
        paths: of the same.
        class_names: in the order of the scores' columns.
        scores: (N, classes), softmax of the logits.
        pictures: how many; none where arrays were written.
        refused: how many files could not be read as images.
    """

    names: tuple[str, ...]
    paths: tuple[Path, ...]
    class_names: tuple[str, ...]
    scores: np.ndarray
    pictures: int
    refused: int


def look_at(
    paths: Sequence[Path], model: Path, out: Path, wanted: MapRequest, fit: str | None, device: str
) -> ShownImage:
    """Write a picture and a map for each image, method, layer and class. Memory does not grow with the images.

    A file that can't be read as an image is skipped with a line on stderr, unless it is the only one.

    Args:
        paths: the images, different files.
        model: a model file.
        out: folder for the pictures and maps.
        wanted: which of them.
        fit: how an image becomes a square: "stretch", "pad" or "crop"; None: as in the model's training.
        device: as for `choose_device`.

    Raises:
        InputError: no file is an image; no model; an unknown method, layer or class.
    """
    wanted.check()
    network, card = load_model(model, choose_device(device))
    fit = settled_fit(card, fit)
    engine = build(network, card, wanted)
    names = distinct_names(paths)
    done, scores, written = [], [], set()
    # Threads: what takes longest is zlib, and waiting for the disk, and both let others run.
    with (
        ThreadPoolExecutor(usable_cores()) as pool,
        tqdm(total=len(paths), unit="image", disable=None if len(paths) > BATCH else True) as bar,
    ):
        for start in range(0, len(paths), BATCH):
            several = range(start, min(start + BATCH, len(paths)))
            if read := list(_read(paths, names, several, card.input_size, fit)):
                looked = _look(engine, card, read, wanted)
                written.update(*pool.map(partial(write_overlay, out), looked.overlays()))
                done, scores = done + list(looked.names), [*scores, looked.scores]
            bar.update(min(BATCH, len(paths) - start))
    if not done:
        raise InputError(f"expected at least one image, found none in {len(paths)} files", hint="name others")
    remove_unfinished_of(out, written)
    path_of = dict(zip(names, paths, strict=True))
    there = tuple(path_of[name] for name in done)
    return ShownImage(
        tuple(done), there, card.class_names, np.concatenate(scores), len(written) // 2, len(paths) - len(done)
    )


@dataclass(frozen=True)
class _Image:
    """One image, as the network sees it, (S, S, 3) uint8, and as a picture shows it."""

    name: str
    square: np.ndarray
    photo: Photo


def _read(paths: Sequence[Path], names: Sequence[str], places: range, size: int, fit: str) -> Iterator[_Image]:
    """Each file that is an image; of any other, a line on stderr says why it is none."""
    for place in places:
        try:
            image = opened(paths[place])
            yield _Image(names[place], to_square(image, size, fit), photo_of(image, max(SIDE, size), fit))
        except InputError as refusal:
            if len(paths) == 1:
                raise
            tqdm.write(f"skipped {refusal}", file=sys.stderr)


def _look(engine: Engine, card: Card, images: Sequence[_Image], wanted: MapRequest) -> Looked:
    classes, names = wanted.class_names(card), tuple(image.name for image in images)
    targets = None if classes else PREDICTED
    choose = choose_classes(engine.class_count, len(images), classes or None, card.class_names, targets)
    inputs = model_input(card, np.stack([image.square for image in images]), engine.device)
    try:
        found = explain_with(engine, inputs, choose, BATCH)
    except NotFinite as error:
        raise NotFinite(error.what, error.places, [names[place] for place in error.places[:SHOWN]]) from error
    if wanted.contrast:
        found = _contrasted(found, len(card.class_names))
    return Looked(names, [image.photo for image in images], card.class_names, found, wanted.contrast)


def _contrasted(found: Explanation, count: int) -> Explanation:
    """Each class's map less the mean of the other classes' maps."""
    maps = {pair: contrast_with_mean(own, found.means[pair][:, None], count) for pair, own in found.items()}
    return replace(found, maps=maps)
