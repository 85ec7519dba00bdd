"""Image files and a model file, to overlays: what `wheretolook look` does."""

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from wheretolook.analysis.maps.contrast import contrast_with_mean
from wheretolook.analysis.statistics.classification import softmax
from wheretolook.cams.choose import PREDICTED, choose_classes
from wheretolook.cams.engine import Engine
from wheretolook.cams.explain import Explanation, explain_with
from wheretolook.cams.finite import SHOWN, NotFinite
from wheretolook.cams.registry import METHODS
from wheretolook.data.atomic import remove_unfinished_of
from wheretolook.data.decode import to_square
from wheretolook.data.limits import usable_cores
from wheretolook.data.refusal import Refusal
from wheretolook.execution.device import choose_device
from wheretolook.look.files import LONGEST_CLASS, distinct_names, file_name, numbered, opened
from wheretolook.look.overlay import SIDE, Overlay, write_overlay
from wheretolook.look.photo import Photo, photo_of
from wheretolook.look.wanted import BATCH, Wanted, build, settled_fit
from wheretolook.models.card import Card
from wheretolook.models.checkpoint import load_model
from wheretolook.models.inputs import model_input


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
class Seen:
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


def look_at(paths: Sequence[Path], model: Path, out: Path, wanted: Wanted, fit: str | None, device: str) -> Seen:
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
        Refusal: no file is an image; no model; an unknown method, layer or class.
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
        raise Refusal(f"expected at least one image, found none in {len(paths)} files; name others")
    remove_unfinished_of(out, written)
    path_of = dict(zip(names, paths, strict=True))
    there = tuple(path_of[name] for name in done)
    return Seen(tuple(done), there, card.class_names, np.concatenate(scores), len(written) // 2, len(paths) - len(done))


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
        except Refusal as refusal:
            if len(paths) == 1:
                raise
            tqdm.write(f"skipped {refusal}", file=sys.stderr)


def _look(engine: Engine, card: Card, images: Sequence[_Image], wanted: Wanted) -> Looked:
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
