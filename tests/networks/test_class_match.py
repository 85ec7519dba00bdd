"""The classes of a model beside those of the data."""

from pathlib import Path

import numpy as np
import pytest

from tests.networks.made_models import small_card
from wheretolook.base.errors import InputError
from wheretolook.networks.inputs import better_order, match_classes

MODEL = Path("models/last-9.safetensors")
FOREIGN = small_card(training={}, data={}, class_names=("a", "b", "c"))


def test_classes_are_matched_by_name() -> None:
    assert match_classes(MODEL, FOREIGN, ("c", "a", "b")).tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("card", "names", "hint"),
    [
        (FOREIGN, ("a", "b", "C"), "drive.last-9.classes"),
        (small_card(), ("Infected", "Uninfected"), "rename the class folders Infected, Uninfected to infected, uninf"),
        (small_card(), ("infected", "uninfected", "unsure"), "another model"),
    ],
)
def test_other_names_are_refused_with_how_to_make_them_fit(card: object, names: tuple[str, ...], hint: str) -> None:
    with pytest.raises(InputError) as refused:
        match_classes(MODEL, card, names)
    assert hint in refused.value.hint


def logits_for(labels: np.ndarray) -> np.ndarray:
    return np.eye(3, dtype=np.float32)[labels]


def test_outputs_in_another_order_are_found_out() -> None:
    labels = np.arange(30) % 3
    columns = np.array([2, 0, 1])  # the data's classes are c, a, b
    swapped = np.array([1, 0, 2])[labels]
    assert better_order(logits_for(swapped), labels, FOREIGN, columns) == ("c", "b", "a")
    assert better_order(logits_for(labels), labels, FOREIGN, columns) is None


def test_no_order_is_suggested_of_few_images_or_of_a_model_that_was_trained_here() -> None:
    labels = np.arange(30) % 3
    assert better_order(logits_for(2 - labels)[:6], labels[:6], FOREIGN, np.arange(3)) is None
    trained = small_card(class_names=("a", "b", "c"))
    assert better_order(logits_for(2 - labels), labels, trained, np.arange(3)) is None
