"""Image files and a model file, to arrays: what `wheretolook look --arrays` does."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from wheretolook.analysis.statistics.classification import softmax
from wheretolook.base.errors import InputError
from wheretolook.base.files import replacing_folder, write_json
from wheretolook.base.resources import create_array
from wheretolook.cams.explain import PREDICTED, choose_classes
from wheretolook.cams.export import about_model, array_entries
from wheretolook.cams.stream import ImageFiles, Work, create_arrays, fill_arrays, shapes
from wheretolook.images.decode import to_square
from wheretolook.look.image_files import distinct_names, opened
from wheretolook.look.map_pictures import ShownImage
from wheretolook.look.requests import BATCH, MapRequest, build, settled_fit, write_predictions
from wheretolook.mapstore.store import FORMAT, LOGITS, read_manifest
from wheretolook.networks.card import Card
from wheretolook.networks.checkpoint import load_model
from wheretolook.networks.inputs import model_input
from wheretolook.prepare.pixels import keep_rows
from wheretolook.runtime.device import choose_device
from wheretolook.runtime.distributed import Ranks

MANIFEST, PREDICTIONS = "manifest.json", "predictions.csv"
OTHER_FILES = {MANIFEST, PREDICTIONS}


@dataclass(frozen=True)
class PatientFiles(ImageFiles):
    """Image files of which some may be none: such a one is black, and has no mark.

    Attributes:
        marks: (N,) bool, in memory that forked processes share: which of the files are images.
    """

    marks: np.ndarray

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Decode some images, (n, S, S, 3) uint8."""
        places = range(*rows.indices(len(self)))
        images = np.zeros((len(places), self.size, self.size, 3), np.uint8)
        for image, place in zip(images, places, strict=True):
            with suppress(InputError):
                image[:] = to_square(opened(self.paths[place]), self.size, self.fit)
                self.marks[place] = True
        return images

    def say_why(self) -> None:
        """A line on stderr for each file that was none. In a worker it would have no sure way out.

        Raises:
            InputError: it is the only file.
        """
        for place in np.flatnonzero(~self.marks):
            try:
                opened(self.paths[place])
            except InputError as refusal:
                if len(self) == 1:
                    raise
                tqdm.write(f"skipped {refusal}", file=sys.stderr)


def write_arrays(
    paths: Sequence[Path], model: Path, folder: Path, wanted: MapRequest, fit: str | None, device: str
) -> ShownImage:
    """Write the maps of all images as one array for each method and layer. Memory does not grow with the images.

    The folder is as `data/cams/NAME` of the pipeline: arrays of the images' maps (N, K, h, w), their logits
    (N, 1, classes) and a manifest, which `cams.store.load_maps` opens; with the images' names in `predictions.csv`. The
    network is a folded copy: its maps are those of the pictures to 1e-5.

    Args:
        paths: the images, different files. One that is no image is left out, with a line on stderr.
        model: a model file.
        folder: for the arrays; replaced as a whole, when all is done.
        wanted: which maps; no contrast, which is of a picture.
        fit: how an image becomes a square: "stretch", "pad" or "crop"; None: as in the model's training.
        device: as for `choose_device`.

    Raises:
        InputError: no file is an image; no model; an unknown method, layer or class; a contrast; NaN in a map; a folder
            that holds anything but arrays of an earlier look.
    """
    if wanted.contrast:
        raise InputError(
            "--arrays", expected="no --contrast with it", hint="store --class all, and subtract the others' mean"
        )
    check_folder(folder, paths)
    network, card = load_model(model, choose_device(device))
    fit = settled_fit(card, fit)
    engine = build(network, card, wanted, fast=True)
    classes = wanted.class_names(card)
    choose = choose_classes(
        engine.class_count, len(paths), classes or None, card.class_names, None if classes else PREDICTED
    )
    names = distinct_names(paths)
    work = Work(engine, card.layers[-1:], np.arange(len(card.class_names)), choose, len(classes) or 1, names)
    ranks = Ranks(0, 1, 0, engine.device)
    with replacing_folder(folder, recorded=False) as scratch:
        create_arrays(scratch, work, len(paths))
        marks = create_array(scratch / "marks", (len(paths),), np.bool_)
        files = PatientFiles(paths, card.input_size, fit, marks)
        put = partial(model_input, card, device=engine.device)
        fill_arrays(scratch, work, files, put, BATCH, ranks, command="look")
        files.say_why()
        read = np.flatnonzero(marks)
        (scratch / "marks").unlink()
        if not len(read):
            raise InputError(f"expected at least one image, found none in {len(paths)} files", hint="name others")
        for name in shapes(work, len(paths)):
            keep_rows((scratch / name).rename(scratch / "whole"), read, scratch / name)
        names, there = [names[row] for row in read], [paths[row] for row in read]
        scores = softmax(np.load(scratch / LOGITS)[:, -1])
        write_predictions(scratch / PREDICTIONS, names, there, card.class_names, scores)
        write_json(scratch / MANIFEST, _manifest(model, card, work, classes, scratch, len(read)))
    return ShownImage(tuple(names), tuple(there), card.class_names, scores, 0, len(paths) - len(read))


def check_folder(folder: Path, paths: Sequence[Path]) -> None:
    """Refuse to replace a folder that holds anything but what an earlier look wrote there.

    Raises:
        InputError: it is no folder, holds other files, or some of the images.
    """
    whole = folder.resolve()
    if inside := [path for path in paths if path.resolve().is_relative_to(whole)]:
        raise InputError(
            folder, expected="a folder to write to", found=f"the images in it ({inside[0]})", hint="name another --out"
        )
    if folder.exists() and not folder.is_dir():
        raise InputError(
            folder, expected="a folder to write to", found="a file", hint="name another --out, or move it away"
        )
    there = {path.name for path in folder.iterdir()} if folder.exists() else set()
    own = set(read_manifest(folder / MANIFEST)["arrays"]) | OTHER_FILES if MANIFEST in there else set()
    if others := sorted(there - own):
        raise InputError(
            folder, expected="arrays of an earlier look or none", found=others[0], hint="name another --out"
        )


def _manifest(model: Path, card: Card, work: Work, classes: Sequence[str], folder: Path, count: int) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "model": about_model(model, card),
        "data": {"images": count},
        "class_names": list(card.class_names),
        "map_classes": list(classes) or [PREDICTED],
        "layers": [layer.name for layer in work.engine.layers],
        "heads": list(work.heads),
        "precision": work.engine.precision,
        "arrays": array_entries(folder, work, count),
    }
