"""Matching a model's classes to those of the data; detection of class names in the wrong order."""

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wheretolook.base.errors import InputError
from wheretolook.networks.card import Card

# Another order of the class names is suggested if it improves the accuracy by at least this much.
_LEAST_GAIN = 0.3
_LEAST_IMAGES = 20
_SHOWN = 10


def match_classes(model: Path, card: Card, class_names: Sequence[str]) -> np.ndarray:
    """Index of the model's logit for each class of the data: (K,) int64.

    Raises:
        InputError: the model has other classes; the hint says what to rename, or where to map the names.
    """
    # File systems use either Unicode form of a name; the data's names are in NFC.
    own = [unicodedata.normalize("NFC", name) for name in card.class_names]
    if set(own) == set(class_names):
        return np.array([own.index(name) for name in class_names])
    missing = [name for name in own if name not in class_names]
    other = [name for name in class_names if name not in own]
    if len(card.class_names) != len(class_names):
        hint = "Use data with the model's classes, or another model"
    elif is_foreign(card):
        hint = (
            f"If they are the same classes, set drive.{model.stem}.classes to the data's names in the order of the "
            f"model's outputs, replacing {_listed(missing)}"
        )
    else:
        hint = f"If they are the same classes, rename the class folders {_listed(other)} to {_listed(missing)}"
    raise InputError(str(model), f"the classes of the data, {_listed(class_names)}", _listed(card.class_names), hint)


def is_foreign(card: Card) -> bool:
    """Whether a model was imported from a foreign checkpoint, so that its class names are from params.yaml."""
    return not card.training


def better_order(logits: np.ndarray, labels: np.ndarray, card: Card, columns: np.ndarray) -> tuple[str, ...] | None:
    """The order of class names that fits a foreign model's outputs much better; None if there is no such order.

    Args:
        logits: (N, K), columns in the order of the data's classes.
        labels: (N,) int64.
        card: of the model.
        columns: from `match_classes`.
    """
    if not is_foreign(card) or len(labels) < _LEAST_IMAGES:
        return None
    from scipy.optimize import linear_sum_assignment

    count = logits.shape[1]
    confusion = np.zeros((count, count), dtype=np.int64)
    np.add.at(confusion, (logits.argmax(1), labels), 1)
    assigned = linear_sum_assignment(-confusion)[1]  # the class that fits each column best
    accuracy, best = np.trace(confusion) / len(labels), confusion[np.arange(count), assigned].sum() / len(labels)
    if best - accuracy < _LEAST_GAIN:
        return None
    of_data = [card.class_names[column] for column in columns]
    names = list(card.class_names)
    for column, kind in zip(columns, assigned, strict=True):
        names[column] = of_data[kind]
    return tuple(names)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
