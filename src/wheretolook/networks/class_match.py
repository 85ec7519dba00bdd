"""The classes of a model beside those of the data: the same names, or what to do; and names in a wrong order."""

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wheretolook.base.errors import InputError
from wheretolook.networks.card import Card

# A better order is suggested where it is right on this much more of the images than the order given.
_MUCH_BETTER = 0.3
_ENOUGH_IMAGES = 20
_SHOWN = 10


def match_classes(model: Path, card: Card, class_names: Sequence[str]) -> np.ndarray:
    """For each class of the data, in their order, which logit of the model is it: int64 (K,).

    Raises:
        InputError: the model does not know exactly these classes; with what to rename, or where to map the names.
    """
    # File systems keep a name in one of two Unicode forms; the data have it composed.
    own = [unicodedata.normalize("NFC", name) for name in card.class_names]
    if set(own) == set(class_names):
        return np.array([own.index(name) for name in class_names])
    missing = [name for name in own if name not in class_names]
    other = [name for name in class_names if name not in own]
    if len(card.class_names) != len(class_names):
        hint = "Use data of the model's own classes, or another model"
    elif is_foreign(card):
        hint = (
            f"If they are the same classes, write the data's names in drive.{model.stem}.classes, in the order of the "
            f"model's outputs; in place of {_listed(missing)}"
        )
    else:
        hint = f"If they are the same classes, rename the class folders {_listed(other)} to {_listed(missing)}"
    raise InputError(str(model), f"the classes of the data, {_listed(class_names)}", _listed(card.class_names), hint)


def is_foreign(card: Card) -> bool:
    """Whether a model came as a bare checkpoint, so that its class names are what an entry of params.yaml says."""
    return not card.training


def better_order(logits: np.ndarray, labels: np.ndarray, card: Card, columns: np.ndarray) -> tuple[str, ...] | None:
    """The class names in the order in which a foreign model's outputs fit the data; None where its own order does.

    Args:
        logits: (N, K), columns in the order of the data's classes.
        labels: (N,) int64.
        card: of the model.
        columns: as `match_classes` gives them.
    """
    if not is_foreign(card) or len(labels) < _ENOUGH_IMAGES:
        return None
    from scipy.optimize import linear_sum_assignment

    count = logits.shape[1]
    confusion = np.zeros((count, count), dtype=np.int64)
    np.add.at(confusion, (logits.argmax(1), labels), 1)
    meant = linear_sum_assignment(-confusion)[1]  # of each column, the class that it fits
    right, best = np.trace(confusion) / len(labels), confusion[np.arange(count), meant].sum() / len(labels)
    if best - right < _MUCH_BETTER:
        return None
    of_data = [card.class_names[column] for column in columns]
    names = list(card.class_names)
    for column, kind in zip(columns, meant, strict=True):
        names[column] = of_data[kind]
    return tuple(names)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
