"""A model file's card: what makes the file self-describing. Read without loading the weights, and without torch."""

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from wheretolook.base.display import LONGEST_CLASS_NAME, is_class_name
from wheretolook.base.errors import InputError, repro_command
from wheretolook.dataset.prepared import FITS
from wheretolook.networks.weights_file import check_weights_file, weights_metadata

# The one key of the file's metadata: safetensors writes several keys in random order.
METADATA_KEY = "wheretolook"
FORMAT = 1
LOSSES = ("last", "every")
# Of each epoch, and in it of each trained head; in the order of the tables.
EPOCH_FIGURES = ("train_loss", "val_loss", "train_accuracy", "val_accuracy")
# Pixels: as large as `prepare` makes images. Beyond it, one image would fill the memory.
LARGEST_INPUT = 2048
# Characters of a name of a class or a layer, which files, tables and pages show: as long as a folder's name may be.
# Numbers and names in the arguments, lists within them counted through.
_MOST_ARGUMENTS = 400


@dataclass(frozen=True)
class Card:
    """What a model is, what it was trained on and how.

    Attributes:
        architecture: as `architectures.parse_architecture` reads it.
        arguments: what `network.build_network` builds it with.
        class_names: one for each logit, in their order.
        input_size: side of the square input, pixels.
        mean: of each channel, of values in 0..1.
        std: of each channel, of values in 0..1.
        loss: "last" or "every": which layers' heads were trained.
        layers: names of the layers, first to last.
        trained_heads: layers whose head was trained, the last layer among them: its head is the network's own
            classifier.
        data: what it was trained on: "sha256" of the prepared data, "images" trained on.
        training: the options of the training, "seed" among them.
        history: one entry an epoch: "epoch", EPOCH_FIGURES of the network's own logits, and under "layers" the same
            four for each trained head. Empty where nobody knows.
        fit: how an image became a square, one of FITS; None where it isn't known, as in older cards.
        code: of a network in the user's own code, path to SHA-256 of the files that define it; else None.
    """

    architecture: str
    arguments: dict[str, Any]
    class_names: tuple[str, ...]
    input_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    loss: str
    layers: tuple[str, ...]
    trained_heads: tuple[str, ...]
    data: dict[str, Any]
    training: dict[str, Any]
    history: list[dict[str, Any]]
    fit: str | None = None
    code: dict[str, str] | None = None


def card_to_json(card: Card) -> str:
    """The card as JSON with sorted keys: the same text for the same card.

    Raises:
        ValueError: a NaN or an infinity.
    """
    values = {name: value for name, value in asdict(card).items() if name != "code" or value is not None}
    return json.dumps({"format": FORMAT} | values, sort_keys=True, ensure_ascii=False, allow_nan=False)


def card_from_json(text: str, source: Path) -> Card:
    """Read a card and check every field.

    Raises:
        InputError: another format, a field that is missing or not what it should be; named by `source`.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            source, expected="a card in JSON", found=f"broken JSON ({error})", hint="train or fetch it again"
        ) from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        found = values.get("format") if isinstance(values, dict) else type(values).__name__
        raise InputError(
            source,
            expected=f"a card of format {FORMAT}",
            found=f"{found!r}",
            hint="train the model again, or use the version that wrote it",
        )
    values = {"fit": None, "code": None} | values
    missing = [field.name for field in fields(Card) if field.name not in values]
    if missing:
        raise InputError(
            f"{source}: the card lacks {', '.join(missing)}", hint="train the model again, or export it from its origin"
        )
    for name, (holds, expected) in _FIELDS.items():
        if not holds(values[name]):
            raise InputError(f"{source}: {name} in the card", expected=expected, found=_brief(values[name]))
    tuples = {name: tuple(values[name]) for name in ("class_names", "mean", "std", "layers", "trained_heads")}
    card = Card(**{field.name: values[field.name] for field in fields(Card)} | tuples)
    _check_heads(card, source)
    for place, entry in enumerate(card.history, start=1):
        _check_epoch(entry, card.trained_heads, f"{source}: history in the card, entry {place}")
    return card


def read_card(path: Path) -> Card:
    """The card of a model file, out of the file's header alone.

    Raises:
        InputError: no such file, no safetensors file, no card in it, or a card that does not hold what it should.
    """
    _check_there(path)
    text = weights_metadata(path).get(METADATA_KEY)
    if text is None:
        raise InputError(
            path,
            expected="a model of this project",
            found=f'a safetensors file without a "{METADATA_KEY}" card',
            hint="a foreign file needs its architecture and classes: add it under drive in params.yaml",
        )
    return card_from_json(text, path)


def read_checked_card(path: Path) -> Card:
    """The card of a model file whose network may be built: all of the header agrees with the file, and with itself.

    Raises:
        InputError: as `read_card`; a header that isn't of this file to the byte; arguments larger than its tensors.
    """
    _check_there(path)
    shapes = check_weights_file(path)
    card = read_card(path)
    _check_arguments(path, card, shapes)
    return card


def _check_there(path: Path) -> None:
    if not path.exists():
        raise InputError(path, expected="a model file", found="no such file", hint=repro_command(path, "train"))


def _check_arguments(path: Path, card: Card, shapes: dict[str, tuple[int, ...]]) -> None:
    # A network is built from the card: nothing in it may be larger than what the file holds. A tensor of no elements
    # may have sides of any length.
    most = max([len(shapes), *(length for shape in shapes.values() if math.prod(shape) for length in shape)])
    values = list(_leaves(card.arguments))
    absurd = [value for value in values if isinstance(value, int | float) and not -most <= value <= most]
    if absurd or len(values) > _MOST_ARGUMENTS:
        expected = f"none above {most} (as long as its tensors are)" if absurd else f"at most {_MOST_ARGUMENTS} values"
        raise InputError(
            f"{path}: arguments in the card",
            expected=expected,
            found=_brief(card.arguments),
            hint="train it again, or ask who made it",
        )


def _leaves(value: Any) -> Iterator[Any]:
    """Every value in lists and mappings, whatever they are in."""
    if isinstance(value, list | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _leaves(inner)
    else:
        yield value


def _check_heads(card: Card, source: Path) -> None:
    """Refuse heads that no training here leaves: the last layer's is the network's own, and always among them."""
    if not set(card.trained_heads) <= set(card.layers) or card.layers[-1] not in card.trained_heads:
        raise InputError(
            f"{source}: trained_heads in the card",
            expected=f"some of {', '.join(card.layers)}, {card.layers[-1]} among them",
            found=", ".join(card.trained_heads),
            hint="train the model again, or export it from its origin",
        )


def _check_epoch(entry: dict[str, Any], heads: tuple[str, ...], where: str) -> None:
    """Refuse an epoch without the figures that `report` draws."""
    layers = entry.get("layers", {})
    if not _is_mapping(layers) or not set(layers) <= set(heads) or not all(map(_is_mapping, layers.values())):
        raise InputError(
            where,
            expected=f"figures by trained head ({', '.join(heads)}) under layers",
            found=_brief(layers),
            hint="train the model again, or export it from its origin",
        )
    needed = [("", entry, ("epoch", *EPOCH_FIGURES))]
    needed += [(f" of {layer}", figures, EPOCH_FIGURES) for layer, figures in layers.items()]
    for whose, figures, keys in needed:
        for key in keys:
            if not _is_number(figures.get(key)):
                raise InputError(
                    where,
                    expected=f"{key}{whose} as a finite number",
                    found=_brief(figures.get(key)),
                    hint="train the model again, or export it from its origin",
                )


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_name, value)) and 0 < len(value) == len(set(value))


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and is_class_name(value)


def _is_channels(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(map(_is_number, value))


def _is_number(value: Any) -> bool:
    # Not math.isfinite, which fails at a whole number that no float can hold.
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _is_code(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_name(path) and isinstance(digest, str) for path, digest in value.items())


def _is_mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


_READABLE = f"without control characters, of at most {LONGEST_CLASS_NAME} bytes"
_FIELDS = {
    "architecture": (_is_name, f"a name {_READABLE}"),
    "arguments": (_is_mapping, "a mapping"),
    "class_names": (
        lambda v: _is_names(v) and len(v) >= 2,
        f"two names or more, each once, {_READABLE}",
    ),
    "input_size": (lambda v: type(v) is int and 0 < v <= LARGEST_INPUT, f"a number of pixels, at most {LARGEST_INPUT}"),
    "mean": (_is_channels, "three numbers"),
    "std": (lambda v: _is_channels(v) and min(v) > 0, "three numbers above 0"),
    "loss": (lambda v: v in LOSSES, "last or every"),
    "layers": (_is_names, f"names, each once, {_READABLE}"),
    "trained_heads": (_is_names, "names of layers, each once"),
    "data": (_is_mapping, "a mapping"),
    "training": (_is_mapping, "a mapping"),
    "history": (lambda v: isinstance(v, list) and all(isinstance(entry, dict) for entry in v), "a list of epochs"),
    "code": (lambda v: v is None or _is_code(v), "paths of files with their SHA-256, or nothing"),
    "fit": (lambda v: v is None or v in FITS, f"one of {', '.join(FITS)}, or null"),
}
