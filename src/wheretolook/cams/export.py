"""One folder that several processes fill together, and that appears under its name when all are done."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wheretolook.base.errors import InputError
from wheretolook.base.files import check_replaceable, move_folder, sha256_of, write_json
from wheretolook.cams.engine import Engine, build_engine
from wheretolook.cams.random_weights import chosen_rows, random_maps
from wheretolook.cams.stream import Work, create_arrays, fill_arrays, shapes
from wheretolook.dataset.prepared import Prepared
from wheretolook.mapstore.store import EVERY_CLASS_UP_TO, FORMAT, LOGITS, RANDOM, array_name, map_classes_of
from wheretolook.networks.card import Card
from wheretolook.networks.checkpoint import load_model
from wheretolook.networks.class_match import match_classes
from wheretolook.networks.inputs import model_input
from wheretolook.runtime.distributed import Ranks
from wheretolook.runtime.resumable import Journal, discard_unless_begun, prepare_state, remove_states, state_folder

# What dvc.yaml lists for the stage: an edit elsewhere does not restart an export.
CODE = (
    *("base", "cams", "dataset", "images", "layers", "mapstore", "networks", "params/export.py", "runtime", "terminal"),
)


@contextmanager
def shared_state(state: Path, path: Path, ranks: Ranks, create: Callable[[Path], None]) -> Iterator[Path]:
    """One folder for all ranks to fill; it replaces `path` when every rank has come to the end of the block.

    Yields:
        Where it is until then: `maps` in the state's folder.

    Args:
        state: the state's folder, where rank 0 says it is; what a killed run left there is taken up again.
        path: the final name.
        ranks: the processes that share the work.
        create: fills a new folder with what all ranks then write into.
    """
    # As rank 0 says: devices may differ between ranks, and with them what a state is named by.
    state = ranks.gathered(state)[0]
    try:
        if ranks.leads:
            check_replaceable(path)
            prepare_state(state, create)
        ranks.wait()
        yield state / "maps"
        ranks.wait()
        if ranks.leads:
            move_folder(state / "maps", path)
            remove_states(state.parent.parent, state.parent.name)
        ranks.wait()
    finally:
        if ranks.leads:
            discard_unless_begun(state)


@dataclass(frozen=True)
class ExportOptions:
    """What an export takes.

    Attributes:
        methods: names of CAM methods.
        layers: names of layers; None: all.
        precision: "float32" or "bfloat16".
        batch_size: images a forward pass.
        random_draws: networks of random weights whose maps stand beside the model's, as a null.
        every_class_up_to: so many classes at most have maps of every class in every image; of more, the true and the
            predicted class have.
    """

    methods: tuple[str, ...]
    layers: tuple[str, ...] | None
    precision: str
    batch_size: int
    random_draws: int = 0
    every_class_up_to: int = EVERY_CLASS_UP_TO


def export_maps(
    model: Path, prepared: Prepared, folder: Path, options: ExportOptions, ranks: Ranks, cache: Path
) -> dict[str, Any]:
    """Write the maps of every prepared image, and give their manifest.

    Args:
        model: the model file; its stem names it.
        prepared: the images.
        folder: where the arrays go; replaced as a whole, when all is done.
        options: what to take.
        ranks: the processes that share the work; each calls this function, and runs the network on its device.
        cache: the folder for exports that aren't done: a killed one goes on.

    Returns:
        On rank 0 the manifest, as it stands in `folder/manifest.json`; elsewhere an empty one.

    Raises:
        InputError: the model's classes or input size are not those of the images, an unknown method or layer, no
            last layer, or NaN.
    """
    network, card = load_model(model, ranks.device)
    columns = match_classes(model, card, prepared.class_names)
    check_size(model, card, prepared.images.shape[1])
    check_last_layer(card, options.layers)
    size = (card.input_size, card.input_size)
    engine = build_engine(
        network, options.methods, options.layers, size, options.precision, card.trained_heads, fast=True
    )
    map_classes = map_classes_of(prepared.class_names, options.every_class_up_to)
    every = map_classes == prepared.class_names
    choose = partial(_every_class if every else _true_and_predicted, columns, prepared.labels)
    engine = replace(engine, with_mean=not every)
    map_count = len(map_classes) if every else len(map_classes) - 1
    work = Work(engine, _heads(card, engine), columns, choose, map_count, list(prepared.index["image_id"]))
    count = len(prepared.images)
    depends_on = {"model": sha256_of(model), "data": prepared.sha256, "options": asdict(options)}
    state = state_folder(cache, model.stem, depends_on, ranks, CODE)
    with shared_state(state, folder, ranks, lambda new: create_arrays(new, work, count)) as maps:
        put, done = partial(model_input, card, device=ranks.device), Journal(maps.parent, ranks.rank)
        fill_arrays(maps, work, prepared.images, put, options.batch_size, ranks, done)
        ranks.wait()
        manifest = {}
        if ranks.leads:
            arrays = pinned(maps, work, count) | add_random_maps(maps, card, prepared, options, ranks)
            manifest = manifest_of(model, card, prepared, options, work) | {"arrays": arrays}
            write_json(maps / "manifest.json", manifest)
    return manifest


def check_size(model: Path, card: Card, size: int) -> None:
    """Refuse images of another size than the model's own: resized twice, they would not be what was explained."""
    if card.input_size != size:
        raise InputError(
            model,
            expected=f"images of {card.input_size} pixels",
            found=f"prepared ones of {size}",
            hint=f"set prepare.size to {card.input_size}",
        )


def check_last_layer(card: Card, layers: tuple[str, ...] | None) -> None:
    """Refuse to leave out the last layer: its maps stand for the model, and statements rest on nothing else."""
    last = card.layers[-1]
    if layers is not None and last not in layers:
        raise InputError(
            "export.layers",
            expected=f"the last layer, {last}, among them, since statements rest on its maps",
            found=", ".join(layers),
            hint='add it, or write "all"',
        )


def manifest_of(model: Path, card: Card, prepared: Prepared, options: ExportOptions, work: Work) -> dict[str, Any]:
    """The manifest, less its arrays. Columns follow the class order of the data, whatever the model's own."""
    return {
        "format": FORMAT,
        "model": about_model(model, card),
        "data": {"sha256": prepared.sha256, "images": len(prepared.images)},
        "class_names": list(prepared.class_names),
        "map_classes": list(map_classes_of(prepared.class_names, options.every_class_up_to)),
        "layers": [layer.name for layer in work.engine.layers],
        "heads": list(work.heads),
        "precision": options.precision,
    }


def about_model(model: Path, card: Card) -> dict[str, Any]:
    """What a manifest says of the model: its file, and what it was made by."""
    return {
        "name": model.stem,
        "sha256": sha256_of(model),
        "architecture": card.architecture,
        "loss": card.loss,
        "seed": card.training.get("seed"),
        "recipe": recipe_of(card),
    }


def recipe_of(card: Card) -> str:
    """What a model was made by, but for the seed: equal for models that differ in nothing else. 12 hex digits."""
    training = {key: value for key, value in card.training.items() if key != "seed"}
    recipe = [card.architecture, card.arguments, card.loss, card.input_size, training, card.data.get("sha256")]
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:12]


def pinned(folder: Path, work: Work, count: int) -> dict[str, Any]:
    """Each array by file name: what it is, and the sha256 of its bytes."""
    about = {
        array_name(m.name, y.name): {
            "method": m.name,
            "layer": y.name,
            "units": m.units,
            "knows_class": m.knows_class,
        }
        for m, y in work.engine.pairs
    } | {LOGITS: {"units": "logits"}}
    return {
        name: about[name] | {"shape": list(shape), "dtype": "float32", "sha256": sha256_of(folder / name)}
        for name, shape in shapes(work, count).items()
    }


def add_random_maps(
    folder: Path, card: Card, prepared: Prepared, options: ExportOptions, ranks: Ranks
) -> dict[str, Any]:
    """Write maps of networks with random weights; give their entry, with the rows that they are of. No draws: none."""
    rows = chosen_rows(prepared)
    if not options.random_draws or not len(rows):
        return {}
    maps = random_maps(card, prepared, rows, options.random_draws, options.batch_size, ranks.device)
    if maps is None:
        return {}
    np.save(folder / RANDOM, maps)
    return {
        RANDOM: {
            "method": "cam",
            "layer": card.layers[-1],
            "units": "logits, true class less the others' mean",
            "draws": options.random_draws,
            "rows": rows.tolist(),
            "shape": list(maps.shape),
            "dtype": "float32",
            "sha256": sha256_of(folder / RANDOM),
        }
    }


def _heads(card: Card, engine: Engine) -> tuple[str, ...]:
    """Trained heads of the layers that are looked at, and the network's own, first to last."""
    looked_at = {layer.name for layer in engine.layers} | {card.layers[-1]}
    return tuple(layer for layer in card.layers if layer in card.trained_heads and layer in looked_at)


def _every_class(columns: np.ndarray, labels: np.ndarray, logits: Tensor, rows: slice) -> Tensor:
    return torch.from_numpy(columns).to(logits.device).expand(len(logits), -1)


def _true_and_predicted(columns: np.ndarray, labels: np.ndarray, logits: Tensor, rows: slice) -> Tensor:
    true = torch.from_numpy(columns[labels[rows]]).to(logits.device)
    return torch.stack([true, logits.argmax(1)], 1)
