"""`wheretolook look --arrays`: the maps of image files as arrays."""

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
from wheretolook.cams.batching import PREDICTED, choose_classes
from wheretolook.cams.export import about_model, array_entries
from wheretolook.cams.stream import ImageFiles, Work, create_arrays, fill_arrays, shapes
from wheretolook.images.decode import to_square
from wheretolook.look.image_files import distinct_names, open_image
from wheretolook.look.requests import BATCH, LookResult, MapRequest, build, choose_fit, no_images, write_predictions
from wheretolook.mapstore.store import FORMAT, LOGITS, read_manifest
from wheretolook.networks.card import Card
from wheretolook.networks.checkpoint import load_model
from wheretolook.networks.inputs import model_input
from wheretolook.networks.runtime.device import choose_device
from wheretolook.networks.runtime.processes import Ranks
from wheretolook.prepare.pixels import keep_rows

MANIFEST, PREDICTIONS = "manifest.json", "predictions.csv"
OTHER_FILES = {MANIFEST, PREDICTIONS}


@dataclass(frozen=True)
class SkippingFiles(ImageFiles):
    """Image files of which some may be unreadable: those decode to black images.

    Attributes:
        readable: (N,) bool, memory-mapped and thus shared with forked processes; set for each decoded file.
    """

    readable: np.ndarray

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Decode some images, (n, S, S, 3) uint8."""
        indices = range(*rows.indices(len(self)))
        images = np.zeros((len(indices), self.size, self.size, 3), np.uint8)
        for image, index in zip(images, indices, strict=True):
            with suppress(InputError):
                image[:] = to_square(open_image(self.paths[index]), self.size, self.fit)
                self.readable[index] = True
        return images

    def report_unreadable(self) -> None:
        """Write a line to stderr for each unreadable file; called in the parent, as output of workers may be lost.

        Raises:
            InputError: the only file is unreadable.
        """
        for index in np.flatnonzero(~self.readable).tolist():
            try:
                open_image(self.paths[index])
            except InputError as error:
                if len(self) == 1:
                    raise
                tqdm.write(f"skipped {error}", file=sys.stderr)


def write_arrays(
    paths: Sequence[Path], model: Path, folder: Path, request: MapRequest, fit: str | None, device: str
) -> LookResult:
    """Write the maps of all images as one array per method and layer. Memory use does not depend on their number.

    The folder has the format of `data/cams/NAME`: maps (N, K, h, w), logits (N, 1, classes) and a manifest, for
    `wheretolook.load_maps`, plus the images' names in `predictions.csv`. The network runs as a folded copy, whose maps
    equal those of `look` without --arrays to 1e-5.

    Args:
        paths: the images, distinct files. Unreadable ones are skipped, with a line on stderr.
        model: a model file.
        folder: for the arrays; replaced as a whole at the end.
        request: the maps; contrasts are not supported.
        fit: how an image is made square: "stretch", "pad" or "crop"; None: as in the model's training.
        device: as for `choose_device`.

    Raises:
        InputError: no readable image or model; an unknown method, layer or class; a contrast; NaN in a map; `folder`
            has other content than arrays of an earlier run; a box.
    """
    if request.target:
        raise InputError(
            "--arrays",
            expected="no --contrast or --finer-cam",
            found="both options",
            hint="use --class all, and subtract the mean of the other classes",
        )
    if request.box is not None:
        raise InputError("--arrays", expected="no --box", found="both options", hint="leave one of them out")
    check_folder(folder, paths)
    network, card = load_model(model, choose_device(device), request.accept_code, request.label)
    fit = choose_fit(card, fit)
    engine = build(network, card, request, fast=True)
    classes = request.class_names(card)
    choose = choose_classes(
        engine.class_count, len(paths), classes or None, card.class_names, None if classes else PREDICTED
    )
    names = distinct_names(paths)
    work = Work(engine, card.layers[-1:], np.arange(len(card.class_names)), choose, len(classes) or 1, names)
    ranks = Ranks(0, 1, 0, engine.device)
    with replacing_folder(folder, recorded=False) as scratch:
        create_arrays(scratch, work, len(paths))
        readable = create_array(scratch / "readable", (len(paths),), np.bool_)
        files = SkippingFiles(paths, card.input_size, fit, readable)
        to_input = partial(model_input, card, device=engine.device)
        fill_arrays(scratch, work, files, to_input, BATCH, ranks, command="look")
        files.report_unreadable()
        read = np.flatnonzero(readable).tolist()
        (scratch / "readable").unlink()
        if not read:
            raise no_images(len(paths))
        for name in shapes(work, len(paths)):
            keep_rows((scratch / name).rename(scratch / "whole"), np.array(read), scratch / name)
        names, read_paths = [names[row] for row in read], [paths[row] for row in read]
        scores = softmax(np.load(scratch / LOGITS)[:, -1])
        write_predictions(scratch / PREDICTIONS, names, read_paths, card.class_names, scores)
        write_json(scratch / MANIFEST, _manifest(model, card, work, classes, scratch, len(read)))
    return LookResult(tuple(names), tuple(read_paths), card.class_names, scores, 0, len(paths) - len(read))


def check_folder(folder: Path, paths: Sequence[Path]) -> None:
    """Check that a folder has only files of an earlier run, so that it may be replaced.

    Raises:
        InputError: it is a file, or contains other files or some of the images.
    """
    resolved = folder.resolve()
    if inside := [path for path in paths if path.resolve().is_relative_to(resolved)]:
        raise InputError(
            folder, expected="a folder without the images", found=str(inside[0]), hint="choose another --out"
        )
    if folder.exists() and not folder.is_dir():
        raise InputError(
            folder, expected="a folder", found="a file", hint="choose another --out, or move the file away"
        )
    existing = {path.name for path in folder.iterdir()} if folder.exists() else set()
    own = set(read_manifest(folder / MANIFEST)["arrays"]) | OTHER_FILES if MANIFEST in existing else set()
    if others := sorted(existing - own):
        raise InputError(
            folder,
            expected="an empty folder, or only arrays of an earlier run",
            found=others[0],
            hint="choose another --out",
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
