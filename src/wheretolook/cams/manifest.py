"""What a folder of maps says about itself: one JSON that pins the model, the data and each array by sha256."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wheretolook.data.refusal import Refusal
from wheretolook.data.remedy import remedy

FORMAT = 1
EVERY_CLASS_UP_TO = 10  # where nobody says otherwise
BEYOND = ("true", "predicted", "mean")  # columns of maps of more classes; the mean is over the maps of all classes
LOGITS = "logits.npy"
RANDOM = "random.npy"  # maps of networks with random weights

KEYS = {"format", "model", "data", "class_names", "map_classes", "layers", "heads", "precision", "arrays"}


def map_classes_of(class_names: tuple[str, ...], every_class_up_to: int = EVERY_CLASS_UP_TO) -> tuple[str, ...]:
    """What the K columns of a stored map are: every class, or of more than so many the true and the predicted one.

    Then a third column, the mean over all classes, makes a contrast of the first two: a class's map less the mean of
    the others' is K / (K - 1) times what it is above the mean of all. Methods that are not linear in the class have no
    such map, and two columns.
    """
    return class_names if len(class_names) <= every_class_up_to else BEYOND


def stores_every_class(manifest: dict[str, Any]) -> bool:
    """Whether the columns of its maps are all classes."""
    return manifest["map_classes"] == manifest["class_names"]


def array_name(method: str, layer: str) -> str:
    """File name of one array of maps: `cam.block4.npy`, `gradcam++.features.3.npy`."""
    return f"{method}.{layer}.npy"


def read_manifest(path: Path) -> dict[str, Any]:
    """Read and check a manifest of maps.

    Raises:
        Refusal: there is no such file, or it is no JSON, no manifest, or of another format.
    """
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Refusal(f"{path}: expected the manifest of maps, found no such file; {remedy(path)}") from None
    except ValueError as error:
        raise Refusal(f"{path}: expected the manifest of maps, found no JSON ({error}); {remedy(path)}") from error
    if not isinstance(manifest, dict) or set(manifest) != KEYS:
        found = ", ".join(sorted(manifest)) if isinstance(manifest, dict) else type(manifest).__name__
        raise Refusal(f"{path}: expected the keys {', '.join(sorted(KEYS))}, found {found}; {remedy(path)}")
    if manifest["format"] != FORMAT:
        raise Refusal(f"{path}: expected maps of format {FORMAT}, found {manifest['format']}; {remedy(path)}")
    for what, found in _unlike(manifest):
        raise Refusal(f"{path}: expected {what}, found {json.dumps(found)[:40]}; {remedy(path)}")
    return manifest


def _unlike(manifest: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What is not of its kind: what was expected, and what stands there."""
    for key in ("class_names", "map_classes", "layers", "heads"):
        names = manifest[key]
        if not (isinstance(names, list) and all(isinstance(name, str) for name in names) and (names or key == "heads")):
            yield f"a list of names under {key}", names
    for key, missing in (("model", None), ("data", "")):  # of images that are no prepared data, nothing is pinned
        if not (isinstance(manifest[key], dict) and isinstance(manifest[key].get("sha256", missing), str)):
            yield f"an object with a sha256 under {key}", manifest[key]
    arrays = manifest["arrays"]
    if not (isinstance(arrays, dict) and LOGITS in arrays):
        yield f"arrays by their names, {LOGITS} among them", arrays
        return
    for name, pin in arrays.items():
        if not (isinstance(pin, dict) and isinstance(pin.get("sha256"), str)):
            yield f"a sha256 of {name}", pin
        elif name not in (LOGITS, RANDOM) and not pin.keys() >= {"method", "layer", "knows_class"}:
            yield f"method, layer and knows_class of {name}", pin
