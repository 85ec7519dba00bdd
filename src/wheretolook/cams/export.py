"""Export: store the maps of every prepared image by one model, with a manifest."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from wheretolook.base.errors import InputError
from wheretolook.base.files import sha256_of, write_json
from wheretolook.base.prepared import Prepared
from wheretolook.base.resources import create_array
from wheretolook.cams.batching import compute_batched
from wheretolook.cams.engine import Engine, build_engine
from wheretolook.cams.random_weights import chosen_rows, pretrained_backbone, random_maps
from wheretolook.cams.stream import Work, create_arrays, fill_arrays, shapes
from wheretolook.mapstore.store import (
    EVERY_CLASS_UP_TO,
    FORMAT,
    LABEL_LOGITS,
    LABEL_MAPS,
    LOGITS,
    RANDOM,
    array_name,
    map_classes_of,
)
from wheretolook.networks.card import Card
from wheretolook.networks.checkpoint import load_model, load_outputs
from wheretolook.networks.inputs import match_classes, model_input
from wheretolook.networks.layered import Network
from wheretolook.networks.runtime.processes import Ranks
from wheretolook.networks.runtime.resumable import Journal, shared_state, state_folder

# What dvc.yaml lists for the stage: an edit elsewhere does not restart an export.
CODE = ("base", "cams", "images", "mapstore", "networks", "params/export_options.py")


@dataclass(frozen=True)
class MapOptions:
    """Options of an export.

    Attributes:
        methods: names of CAM methods.
        layers: names of layers; None: all.
        precision: "float32" or "bfloat16".
        batch_size: images per forward pass.
        random_draws: networks with random weights whose maps are stored as a baseline of agreement.
        every_class_up_to: up to this number of classes, store maps of every class; beyond, of the true and the
            predicted class.
    """

    methods: tuple[str, ...]
    layers: tuple[str, ...] | None
    precision: str
    batch_size: int
    random_draws: int = 0
    every_class_up_to: int = EVERY_CLASS_UP_TO


def export_maps(
    model: Path, prepared: Prepared, folder: Path, options: MapOptions, ranks: Ranks, cache: Path
) -> dict[str, Any]:
    """Write the maps of every prepared image, and return their manifest.

    Args:
        model: the model file; its stem is the model's name.
        prepared: the images.
        folder: for the arrays; replaced as a whole once all are complete.
        options: methods, layers and how to run.
        ranks: the processes that share the work; each calls this function and runs the network on its own device.
        cache: for unfinished exports, which a later run resumes.

    Returns:
        On rank 0 the manifest, equal to `folder/manifest.json`; on other ranks an empty dictionary.

    Raises:
        InputError: the model's classes or input size differ from the data's; an unknown method or layer; the last layer
            is not among `options.layers`; or NaN.
    """
    network, card = load_model(model, ranks.device)
    columns = match_classes(model, card, prepared.class_names)
    check_size(model, card, prepared.images.shape[1])
    check_last_layer(card, options.layers)
    size = (card.input_size, card.input_size)
    methods = options.methods
    if len(methods) > 1 and not any(layer in card.trained_heads for layer in network.heads):
        methods = tuple(method for method in methods if method != "cam")  # the other methods do for such a network
    engine = build_engine(network, methods, options.layers, size, options.precision, card.trained_heads, fast=True)
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
        to_input, journal = partial(model_input, card, device=ranks.device), Journal(maps.parent, ranks.rank)
        fill_arrays(maps, work, prepared.images, to_input, options.batch_size, ranks, journal)
        ranks.wait()
        manifest = {}
        if ranks.leads:
            arrays = array_entries(maps, work, count)
            method = "gradcam" if network.final_head() is None else "cam"
            if options.random_draws and (method == "cam" or method in options.methods):
                arrays |= add_random_maps(maps, method, card, prepared, options, ranks, network)
            if card.labels:
                arrays |= add_label_maps(maps, model, prepared, options, ranks.device)
            manifest = manifest_of(model, card, prepared, options, work) | {"arrays": arrays}
            write_json(maps / "manifest.json", manifest)
    return manifest


def check_size(model: Path, card: Card, size: int) -> None:
    """Check that the images have the model's input size, since resizing them a second time would change them.

    Raises:
        InputError: they have another size.
    """
    if card.input_size != size:
        raise InputError(
            model,
            expected=f"prepared images of {card.input_size} pixels",
            found=f"{size} pixels",
            hint=f"set prepare.size to {card.input_size}",
        )


def check_last_layer(card: Card, layers: tuple[str, ...] | None) -> None:
    """Check that the last layer is exported: agreement and statements use its maps.

    Raises:
        InputError: it is left out.
    """
    last = card.layers[-1]
    if layers is not None and last not in layers:
        raise InputError(
            "export.layers",
            expected=f"the last layer ({last}) among them, since agreement and statements use its maps",
            found=", ".join(layers),
            hint='add it, or write "all"',
        )


def manifest_of(model: Path, card: Card, prepared: Prepared, options: MapOptions, work: Work) -> dict[str, Any]:
    """The manifest without its arrays. Columns follow the class order of the data, not that of the model."""
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
    """A manifest's entry about the model: its file and its training."""
    return {
        "name": model.stem,
        "sha256": sha256_of(model),
        "architecture": card.architecture,
        "loss": card.loss,
        "seed": card.training.get("seed"),
        "recipe": recipe_of(card),
        **({"outputs": card.outputs} if card.outputs else {}),
    }


def recipe_of(card: Card) -> str:
    """Hash of everything that determines a model except the seed, as 12 hexadecimal digits."""
    training = {key: value for key, value in card.training.items() if key != "seed"}
    recipe = [card.architecture, card.arguments, card.loss, card.input_size, training, card.data.get("sha256")]
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:12]


def array_entries(folder: Path, work: Work, count: int) -> dict[str, Any]:
    """The manifest's entry of each array, by file name: meaning, shape, dtype and SHA-256."""
    entries: dict[str, dict[str, Any]] = {
        array_name(method.name, layer.name): {
            "method": method.name,
            "layer": layer.name,
            "units": method.units,
            "knows_class": method.knows_class,
        }
        for method, layer in work.engine.pairs
    } | {LOGITS: {"units": "logits"}}
    return {
        name: entries[name] | {"shape": list(shape), "dtype": "float32", "sha256": sha256_of(folder / name)}
        for name, shape in shapes(work, count).items()
    }


def add_random_maps(
    folder: Path, method: str, card: Card, prepared: Prepared, options: MapOptions, ranks: Ranks, network: Network
) -> dict[str, Any]:
    """Write maps of networks with random weights; returns their manifest entry, empty without test images.

    For a model that started from pretrained weights, these are pretrained networks with random heads, and the entry
    says so under "weights".
    """
    rows = chosen_rows(prepared)
    if not len(rows):
        return {}
    backbone = pretrained_backbone(card, network)
    maps = random_maps(card, prepared, rows, options.random_draws, options.batch_size, ranks.device, backbone)
    np.save(folder / RANDOM, maps)
    weights = {} if backbone is None else {"weights": f"pretrained ({card.training['weights']}), with a random head"}
    return {
        RANDOM: {
            "method": method,
            "layer": card.layers[-1],
            "units": "logits, true class less the others' mean",
            "draws": options.random_draws,
            "rows": rows.tolist(),
            "shape": list(maps.shape),
            "dtype": "float32",
            "sha256": sha256_of(folder / RANDOM),
        }
        | weights
    }


def add_label_maps(
    folder: Path, model: Path, prepared: Prepared, options: MapOptions, device: torch.device
) -> dict[str, Any]:
    """Write a map of each label of a network that learned labels of their own; returns the manifest's entries.

    The maps are CAMs of the last layer, or Grad-CAMs where it has no linear head on pooled maps.
    """
    network, card = load_outputs(model, device)
    method = "gradcam" if network.final_head() is None else "cam"
    pair, size = (method, card.layers[-1]), (card.input_size, card.input_size)
    engine = build_engine(network, [method], [pair[1]], size, options.precision, card.trained_heads, fast=True)
    count, labels = len(prepared.images), len(card.labels)
    every = partial(_every_class, np.arange(labels), prepared.labels)
    maps = create_array(folder / LABEL_MAPS, (count, labels, *engine.layers[0].places), np.float32)
    logits = create_array(folder / LABEL_LOGITS, (count, labels), np.float32)
    for start in range(0, count, options.batch_size):
        rows = slice(start, min(start + options.batch_size, count))
        images = model_input(card, np.array(prepared.images[rows]), device)
        for batch_rows, batch in compute_batched(engine, images, rows, every):
            maps[batch_rows], logits[batch_rows] = batch.maps[pair].cpu().numpy(), batch.logits.cpu().numpy()
    maps.flush()
    logits.flush()
    about = {"method": method, "layer": pair[1], "labels": list(card.labels), "units": "logits", "dtype": "float32"}
    return {
        name: about | {"shape": list(array.shape), "sha256": sha256_of(folder / name)}
        for name, array in ((LABEL_MAPS, maps), (LABEL_LOGITS, logits))
    }


def _heads(card: Card, engine: Engine) -> tuple[str, ...]:
    """Layers with a trained head, among those exported and the last, first to last."""
    exported = {layer.name for layer in engine.layers} | {card.layers[-1]}
    return tuple(layer for layer in card.layers if layer in card.trained_heads and layer in exported)


def _every_class(columns: np.ndarray, labels: np.ndarray, logits: Tensor, rows: slice) -> Tensor:
    return torch.from_numpy(columns).to(logits.device).expand(len(logits), -1)


def _true_and_predicted(columns: np.ndarray, labels: np.ndarray, logits: Tensor, rows: slice) -> Tensor:
    true = torch.from_numpy(columns[labels[rows]]).to(logits.device)
    return torch.stack([true, logits.argmax(1)], 1)
