"""The card of a model file: the metadata that make it self-describing. Read without the weights and without PyTorch."""

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from wheretolook.base.errors import LONGEST_CLASS_NAME, InputError, is_class_name, repro_command
from wheretolook.base.prepared import FITS, class_names_of
from wheretolook.networks.weights_file import check_weights_file, weights_metadata

# A single metadata key: safetensors writes several keys in random order.
METADATA_KEY = "wheretolook"
FORMAT = 1
LOSSES = ("last", "every")
# Figures of each epoch and each trained head, in the order of the report's tables.
EPOCH_FIGURES = ("train_loss", "val_loss", "train_accuracy", "val_accuracy")
# Pixels; the largest size of `prepare`.
LARGEST_INPUT = 2048
# Normalisation of torchvision's pretrained weights, for images in 0..1.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_OPTIONAL = ("code", "outputs")  # written only where they are not None, so that earlier files keep their bytes
# Limit on the number of values in the arguments, nested lists included.
_MOST_ARGUMENTS = 400
# Hint for a card that no version of this project writes.
_REMAKE = "train the model again, or export it again where it came from"


@dataclass(frozen=True)
class Card:
    """Description of a model: architecture, classes, input, and how it was trained on which data.

    Attributes:
        architecture: in a form that `architectures.parse_architecture` accepts.
        arguments: for `build_network.build_network`.
        class_names: one for each logit, in the order of the logits.
        input_size: side of the square input, pixels.
        mean: of each channel, of values in 0..1.
        std: of each channel, of values in 0..1.
        loss: "last" or "every": which layers' heads were trained.
        layers: names of the layers, first to last.
        trained_heads: layers whose head was trained, including the last layer, whose head is the network's classifier.
        data: training data: "sha256" of the prepared data, "images" in the training split; empty if unknown.
        training: training options, including "seed"; empty if unknown.
        history: one entry per epoch: "epoch", EPOCH_FIGURES of the network's logits, and under "layers" the same
            figures of each trained head. Empty if unknown.
        fit: how images were made square, one of FITS; None if unknown, as in older cards.
        code: for a network in the user's code, path and SHA-256 of the files that define it; else None.
        outputs: where the network learned something else than classes, what: "kind" "labels", with the "names" of its
            outputs and the one "shown", whose absence and presence are the two classes; or "value", with the "name"
            of the number, and the "threshold" and "scale" of its output, (number - threshold) / scale. Else None.
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
    outputs: dict[str, Any] | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the network's outputs, where each is a label of its own; else empty."""
        return tuple(self.outputs["names"]) if self.outputs and self.outputs["kind"] == "labels" else ()


def parse_channels(name: str, text: str) -> tuple[float, float, float]:
    """Parse three numbers such as "0.485,0.456,0.406".

    Args:
        name: "mean" or "std".
        text: the numbers, separated by commas.

    Raises:
        InputError: not three numbers in 0..1, or a standard deviation of 0.
    """
    try:
        numbers = [float(part) for part in filter(str.strip, text.split(","))]
    except ValueError:
        numbers = []
    if len(numbers) != 3 or not all((n > 0 or name == "mean") and 0 <= n <= 1 for n in numbers):
        raise InputError(name, "three numbers in 0..1, such as 0.485,0.456,0.406", f"{text!r}")
    return numbers[0], numbers[1], numbers[2]


def card_to_json(card: Card) -> str:
    """The card as JSON; equal cards give equal text.

    Raises:
        ValueError: NaN or infinity.
    """
    values = {name: value for name, value in asdict(card).items() if name not in _OPTIONAL or value is not None}
    return json.dumps({"format": FORMAT} | values, sort_keys=True, ensure_ascii=False, allow_nan=False)


def card_from_json(text: str, source: Path) -> Card:
    """Parse a card and validate every field.

    Args:
        text: JSON.
        source: the file, for messages.

    Raises:
        InputError: another format version, or a missing or invalid field.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            source, expected="a card in JSON", found=f"invalid JSON ({error})", hint="train or download it again"
        ) from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        found = values.get("format") if isinstance(values, dict) else type(values).__name__
        raise InputError(
            source,
            expected=f"a card of format {FORMAT}",
            found=f"{found!r}",
            hint="train the model again, or use the version of this project that wrote it",
        )
    values = {"fit": None, "code": None, "outputs": None} | values
    missing = [field.name for field in fields(Card) if field.name not in values]
    if missing:
        raise InputError(source, f"{', '.join(missing)} in the card", "no such field", _REMAKE)
    for name, (holds, expected) in _FIELDS.items():
        if not holds(values[name]):
            raise InputError(source, f"{expected} as {name} in the card", _brief(values[name]), _REMAKE)
    given: dict[str, Any] = {field.name: values[field.name] for field in fields(Card)}
    given |= {name: tuple(given[name]) for name in ("class_names", "mean", "std", "layers", "trained_heads")}
    card = Card(**given)
    _check_heads(card, source)
    if card.class_names != class_names_of(card.outputs, card.class_names):
        expected = f"the classes {' and '.join(class_names_of(card.outputs, ()))} in the card, of its outputs"
        raise InputError(source, expected, _brief(card.class_names), _REMAKE)
    for place, entry in enumerate(card.history, start=1):
        _check_epoch(entry, card.trained_heads, source, f"in entry {place} of history in the card")
    return card


def read_card(path: str | Path) -> Card:
    """The card of a model file; reads only the file's header.

    Raises:
        InputError: no such file, not a safetensors file, no card in it, or an invalid card.
    """
    path = Path(path)
    _check_there(path)
    text = weights_metadata(path).get(METADATA_KEY)
    if text is None:
        raise InputError(
            path,
            expected="a model file of this project",
            found=f'a safetensors file without a "{METADATA_KEY}" card',
            hint="to import it, add an entry with its architecture and classes under `drive` in params.yaml",
        )
    return card_from_json(text, path)


def read_checked_card(path: Path) -> Card:
    """The card of an untrusted model file, checked so that its network can be built safely.

    Raises:
        InputError: as `read_card`; also a header that does not match the file, or arguments larger than its tensors.
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
    # The network is built from the card, so no argument may exceed the sizes of the file's tensors. Tensors without
    # elements do not count: their other sides can be of any length.
    most = max([len(shapes), *(length for shape in shapes.values() if math.prod(shape) for length in shape)])
    values = list(_leaves(card.arguments))
    absurd = [value for value in values if isinstance(value, int | float) and not -most <= value <= most]
    if absurd or len(values) > _MOST_ARGUMENTS:
        expected = f"values up to {most}, the largest tensor side" if absurd else f"at most {_MOST_ARGUMENTS} values"
        raise InputError(
            path,
            f"{expected} as arguments in the card",
            _brief(card.arguments),
            "train the model again, or ask who made it",
        )


def _leaves(value: Any) -> Iterator[Any]:
    """Every value in nested lists and mappings."""
    if isinstance(value, list | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _leaves(inner)
    else:
        yield value


def _check_heads(card: Card, source: Path) -> None:
    """Check that the trained heads are layers of the network, including the last."""
    if not set(card.trained_heads) <= set(card.layers) or card.layers[-1] not in card.trained_heads:
        expected = f"layers among {', '.join(card.layers)}, including {card.layers[-1]}, as trained_heads in the card"
        raise InputError(source, expected, ", ".join(card.trained_heads), _REMAKE)


def _check_epoch(entry: dict[str, Any], heads: tuple[str, ...], source: Path, where: str) -> None:
    """Check that an epoch has all figures that `report` plots."""
    layers = entry.get("layers", {})
    if not _is_mapping(layers) or not set(layers) <= set(heads) or not all(map(_is_mapping, layers.values())):
        raise InputError(
            source,
            f"figures of the trained heads ({', '.join(heads)}) under layers {where}",
            _brief(layers),
            _REMAKE,
        )
    needed: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [("", entry, ("epoch", *EPOCH_FIGURES))]
    needed += [(f" of {layer}", figures, EPOCH_FIGURES) for layer, figures in layers.items()]
    for whose, figures, keys in needed:
        for key in keys:
            if not _is_number(figures.get(key)):
                raise InputError(source, f"a finite number as {key}{whose} {where}", _brief(figures.get(key)), _REMAKE)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_name, value)) and 0 < len(value) == len(set(value))


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and is_class_name(value)


def _is_channels(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(map(_is_number, value))


def _is_number(value: Any) -> bool:
    # math.isfinite raises OverflowError for integers beyond the range of a float.
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _is_code(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_name(path) and isinstance(digest, str) for path, digest in value.items())


def _is_outputs(value: Any) -> bool:
    if not isinstance(value, dict):
        return value is None
    if value.get("kind") == "labels" and value.keys() == {"kind", "names", "shown"}:
        return _is_names(value["names"]) and value["shown"] in value["names"]
    if value.get("kind") != "value" or value.keys() != {"kind", "name", "threshold", "scale"}:
        return False
    return _is_name(value["name"]) and all(map(_is_number, (value["threshold"], value["scale"]))) and value["scale"] > 0


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
        f"at least two unique names {_READABLE}",
    ),
    "input_size": (lambda v: type(v) is int and 0 < v <= LARGEST_INPUT, f"a number of pixels, at most {LARGEST_INPUT}"),
    "mean": (_is_channels, "three numbers"),
    "std": (lambda v: _is_channels(v) and min(v) > 0, "three numbers above 0"),
    "loss": (lambda v: v in LOSSES, "last or every"),
    "layers": (_is_names, f"unique names {_READABLE}"),
    "trained_heads": (_is_names, "unique names of layers"),
    "data": (_is_mapping, "a mapping"),
    "training": (_is_mapping, "a mapping"),
    "history": (lambda v: isinstance(v, list) and all(isinstance(entry, dict) for entry in v), "a list of epochs"),
    "code": (lambda v: v is None or _is_code(v), "a mapping from paths to SHA-256, or null"),
    "fit": (lambda v: v is None or v in FITS, f"one of {', '.join(FITS)}, or null"),
    "outputs": (_is_outputs, "labels or a value, or null"),
}
