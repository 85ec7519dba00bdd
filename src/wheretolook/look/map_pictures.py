"""`wheretolook look`: draw maps over images, with Pillow, since matplotlib would take longer than the network."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from wheretolook.analysis.explained import contrast_with_mean
from wheretolook.analysis.grid import enlarge
from wheretolook.analysis.statistics.classification import softmax
from wheretolook.base.errors import InputError
from wheretolook.base.files import remove_unfinished_of, replacing
from wheretolook.base.resources import usable_cores
from wheretolook.cams.batching import PREDICTED, choose_classes
from wheretolook.cams.engine import Engine
from wheretolook.cams.explain import Explanation, explain_with, finer_cams
from wheretolook.cams.methods import METHODS
from wheretolook.cams.methods.gradients import with_references
from wheretolook.images.decode import to_square
from wheretolook.look.image_files import (
    LONGEST_CLASS,
    Box,
    Photo,
    box_around_peak,
    distinct_names,
    file_name,
    numbered,
    open_image,
    photo_of,
)
from wheretolook.look.requests import BATCH, LookResult, MapRequest, build, choose_fit, no_images
from wheretolook.networks.card import Card
from wheretolook.networks.checkpoint import load_model
from wheretolook.networks.inputs import model_input
from wheretolook.networks.layers.layout import SHOWN, NotFinite
from wheretolook.networks.runtime.device import choose_device
from wheretolook.report.drawing import colour, opacity

SIDE = 448  # pixels
MAX_OPACITY = 0.8
PAPER, INK, SOFT = "#ffffff", "#1d1b19", "#5f5a54"


@dataclass(frozen=True)
class Overlay:
    """Content of one picture.

    Attributes:
        stem: file name without suffix.
        photo: the image under the map.
        values: (h, w) float32, the raw map.
        title: class, score, method and layer.
        units: of the map.
        knows_class: whether the map depends on the class, so that its sign means for or against it.
        box: around the map's peak, as shares of its sides.
        about: method, layer and class, as the manifest lists them.
    """

    stem: str
    photo: Photo
    values: np.ndarray
    title: str
    units: str
    knows_class: bool = True
    box: Box | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    def entry(self) -> dict[str, Any]:
        """What the manifest lists: files, size, range, and the box in pixels of the image."""
        h, w = self.values.shape
        ends = {"least": float(self.values.min()), "most": float(self.values.max()), "units": self.units}
        box = {} if self.box is None else {"box": self.photo.image_box(self.box)}
        return {"picture": f"{self.stem}.png", "map": f"{self.stem}.npy", **self.about, "shape": [h, w], **ends, **box}


def write_overlay(folder: Path, overlay: Overlay) -> tuple[str, str]:
    """Write the picture as PNG and the raw map as `.npy`, each atomically; returns the two file names."""
    picture, values = f"{overlay.stem}.png", f"{overlay.stem}.npy"
    with replacing(folder / picture, sweep=False) as scratch:
        # Compression dominates the time of a picture; Pillow's default level takes twice as long and saves only 7 %.
        draw_overlay(overlay).save(scratch, format="PNG", compress_level=4)
    with replacing(folder / values, sweep=False) as scratch, scratch.open("wb") as file:
        np.save(file, overlay.values)
    return picture, values


def draw_overlay(overlay: Overlay) -> Image.Image:
    """Draw a map over its image, under a title: RGB, at least SIDE pixels wide.

    Red is positive (evidence for the class), blue negative. Colour saturates at the map's largest absolute value, which
    the second line states.
    """
    limit = float(np.abs(overlay.values).max()) or 1.0
    pixels, covered = overlay.photo.pixels.copy(), (overlay.photo.rows, overlay.photo.columns)
    under = pixels[covered]
    unit = enlarge(overlay.values[None] / limit, under.shape[:2])[0]
    alpha = MAX_OPACITY * opacity(unit)[:, :, None]
    pixels[covered] = np.rint(under * (1 - alpha) + colour(unit, signed=True) * alpha)
    height, width = pixels.shape[:2]
    # A narrow photo gets the same title width as a square one.
    page_width = max(SIDE, width)
    signs = "red for, blue against" if overlay.knows_class else "red above zero, blue below"
    lines = ((overlay.title, 16, INK), (f"{signs}; full colour at {limit:.3g} {overlay.units}", 12, SOFT))
    page = Image.new("RGB", (page_width, height + 54), PAPER)
    page.paste(Image.fromarray(pixels), ((page_width - width) // 2, 54))
    pen = ImageDraw.Draw(page)
    if overlay.box is not None:
        left, top, right, bottom = (round(edge) for edge in overlay.photo.pixels_of(overlay.box))
        corner = (page_width - width) // 2
        for ink, thick in ((INK, 4), (PAPER, 2)):
            pen.rectangle((corner + left, 54 + top, corner + right - 1, 54 + bottom - 1), outline=ink, width=thick)
    for (text, points, ink), top in zip(lines, (6, 31), strict=True):
        pen.text((8, top), text, fill=ink, font=_fitting(text, points, page_width - 16))
    return page


def _fitting(text: str, points: int, width: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font at `points`, or smaller if the text would be wider than `width`."""
    length = _font(points).getlength(text)
    return _font(points if length <= width else max(6, int(points * width / length)))


def _font(points: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """DejaVu Sans (with Greek and Cyrillic) from matplotlib's files, without importing it; else Pillow's font."""
    found = find_spec("matplotlib")
    path = Path(found.origin).parent / "mpl-data/fonts/ttf/DejaVuSans.ttf" if found and found.origin else None
    return ImageFont.truetype(path, points) if path and path.is_file() else ImageFont.load_default(points)


@dataclass(frozen=True)
class ExplainedBatch:
    """A batch of images with predictions and maps.

    Attributes:
        names: unique names of the images.
        photos: the images, as pictures show them.
        class_names: of the logits.
        explanation: the maps.
        contrast: "contrast" for maps minus the mean of the others', "finer" for Finer-CAM; empty: the class's own.
        box: share of a map's maximum at which its box is drawn; None: no box.
    """

    names: tuple[str, ...]
    photos: Sequence[Photo]
    class_names: tuple[str, ...]
    explanation: Explanation
    contrast: str = ""
    box: float | None = None

    @property
    def scores(self) -> np.ndarray:
        """(N, classes), softmax of the logits."""
        return softmax(self.explanation.logits)

    def overlays(self) -> Iterator[Overlay]:
        """All pictures, by image, then method and layer, then class."""
        scores = self.scores
        class_files = [file_name(name, LONGEST_CLASS) for name in numbered(self.class_names, LONGEST_CLASS)]
        for i, name in enumerate(self.names):
            for (method, layer), maps in self.explanation.maps.items():
                for k in range(maps.shape[1]):
                    class_index = self.explanation.class_index[i, k]
                    class_name, score = self.class_names[class_index], scores[i, class_index]
                    knows_class = METHODS[method].knows_class
                    stem = [
                        file_name(name),
                        method,
                        layer,
                        *([class_files[class_index]] if knows_class else []),
                        *filter(None, [self.contrast]),
                    ]
                    kind = f"{method} {self.contrast}".strip()
                    title = (
                        f"{class_name} {score:.3f} · {kind} · {layer}"
                        if knows_class
                        else f"{method} · {layer} · any class"
                    )
                    yield Overlay(
                        ".".join(stem),
                        self.photos[i],
                        maps[i, k],
                        title,
                        METHODS[method].units,
                        knows_class,
                        None if self.box is None else box_around_peak(maps[i, k], self.box),
                        {"method": kind, "layer": layer, "class": class_name if knows_class else None},
                    )


def look_at(
    paths: Sequence[Path], model: Path, out: Path, request: MapRequest, fit: str | None, device: str
) -> LookResult:
    """Write a picture and a map for each image, method, layer and class. Memory use does not depend on their number.

    A file that cannot be read as an image is skipped, with a line on stderr, unless it is the only one.

    Args:
        paths: the images, distinct files.
        model: a model file.
        out: folder for the pictures and maps.
        request: the methods, layers and classes.
        fit: how an image is made square: "stretch", "pad" or "crop"; None: as in the model's training.
        device: as for `choose_device`.

    Raises:
        InputError: no readable image or model; an unknown method, layer or class.
    """
    request.check()
    network, card = load_model(model, choose_device(device), request.accept_code, request.label)
    fit = choose_fit(card, fit)
    engine = build(network, card, request)
    names = distinct_names(paths)
    done: list[str] = []
    scores: list[np.ndarray] = []
    written: set[str] = set()
    sizes: list[tuple[int, int]] = []
    entries: list[list[dict[str, Any]]] = []
    # Threads are enough: most time goes to zlib and the disk, which release the GIL.
    with (
        ThreadPoolExecutor(usable_cores()) as pool,
        tqdm(total=len(paths), unit="image", disable=None if len(paths) > BATCH else True) as bar,
    ):
        for start in range(0, len(paths), BATCH):
            indices = range(start, min(start + BATCH, len(paths)))
            if read := list(_read(paths, names, indices, card.input_size, fit)):
                batch = _explain(engine, card, read, request)
                overlays = list(batch.overlays())
                written.update(*pool.map(partial(write_overlay, out), overlays))
                each = len(overlays) // len(read)
                entries += [[o.entry() for o in overlays[i * each : (i + 1) * each]] for i in range(len(read))]
                sizes += [image.photo.size for image in read]
                done += batch.names
                scores.append(batch.scores)
            bar.update(min(BATCH, len(paths) - start))
    if not done:
        raise no_images(len(paths))
    remove_unfinished_of(out, written)
    path_of = dict(zip(names, paths, strict=True))
    read_paths = tuple(path_of[name] for name in done)
    return LookResult(
        *(tuple(done), read_paths, card.class_names, np.concatenate(scores), len(written) // 2, len(paths) - len(done)),
        sizes=tuple(sizes),
        maps=tuple(entries),
    )


@dataclass(frozen=True)
class _Image:
    """One image, as the network's input (S, S, 3) uint8 and as shown in a picture."""

    name: str
    square: np.ndarray
    photo: Photo


def _read(paths: Sequence[Path], names: Sequence[str], indices: range, size: int, fit: str) -> Iterator[_Image]:
    """Decode the readable files; write a line to stderr for each of the others."""
    for index in indices:
        try:
            image = open_image(paths[index])
            yield _Image(names[index], to_square(image, size, fit), photo_of(image, max(SIDE, size), fit))
        except InputError as error:
            if len(paths) == 1:
                raise
            tqdm.write(f"skipped {error}", file=sys.stderr)


def _explain(engine: Engine, card: Card, images: Sequence[_Image], request: MapRequest) -> ExplainedBatch:
    classes, names = request.class_names(card), tuple(image.name for image in images)
    targets = None if classes else PREDICTED
    choose = choose_classes(engine.class_count, len(images), classes or None, card.class_names, targets)
    choose = with_references(choose) if request.finer_cam else choose
    inputs = model_input(card, np.stack([image.square for image in images]), engine.device)
    try:
        explanation = explain_with(engine, inputs, choose, BATCH)
    except NotFinite as error:
        raise NotFinite(error.what, error.places, [names[place] for place in error.places[:SHOWN]]) from error
    if request.finer_cam:
        explanation = finer_cams(explanation)
    if request.contrast:
        explanation = _contrast_maps(explanation, len(card.class_names))
    photos = [image.photo for image in images]
    return ExplainedBatch(names, photos, card.class_names, explanation, request.target, request.box)


def _contrast_maps(explanation: Explanation, count: int) -> Explanation:
    """Replace each class's map by its difference from the mean of the other classes' maps."""
    maps = {pair: contrast_with_mean(own, explanation.means[pair][:, None], count) for pair, own in explanation.items()}
    return replace(explanation, maps=maps)
