import tracemalloc

import numpy as np
import pytest

from wheretolook.base.errors import InputError
from wheretolook.base.prepared import SPLITS
from wheretolook.prepare.splits import assign_splits, connected_units, groups_of

SHARES = (0.6, 0.15, 0.25)


def split(class_index: np.ndarray, units: np.ndarray, seed: int = 0) -> np.ndarray:
    return assign_splits(class_index, units, val_share=0.15, test_share=0.25, seed=seed)


def patients(seed: int, count: int = 114) -> tuple[np.ndarray, np.ndarray]:
    """Images of patients as uneven as those of the NIH set: 1 to 80 each, a third with one class only."""
    random = np.random.default_rng(seed)
    sizes = np.ceil(80 * random.beta(0.6, 2.5, count)).astype(int)
    infected = np.where(random.random(count) < 1 / 3, 0, random.uniform(0.2, 0.9, count))
    units = np.repeat(np.arange(count), sizes)
    return (random.random(len(units)) > infected[units]).astype(np.int64), units


def dense_splits(class_index: np.ndarray, units: np.ndarray, val_share: float, test_share: float, seed: int):
    """The same method on a table of all units by all classes: it needs gigabytes where there are many of both."""
    counts = np.zeros((units.max() + 1, class_index.max() + 1))
    np.add.at(counts, (units, class_index), 1)
    targets = np.outer((1 - val_share - test_share, val_share, test_share), counts.sum(axis=0))
    order = np.argsort(-counts.sum(axis=1) * np.random.default_rng(seed).uniform(0.5, 1, len(counts)), kind="stable")

    def cost(filled: np.ndarray) -> np.ndarray:
        missing = 1e3 * (filled == 0) * (targets > 0)
        return ((filled - targets) ** 2 / np.maximum(targets, 1e-9) + missing).sum(axis=-1)

    filled, splits = np.zeros_like(targets), np.zeros(len(counts), dtype=np.int64)
    for unit in order:
        splits[unit] = np.argmin(cost(filled + counts[unit]) - cost(filled))
        filled[splits[unit]] += counts[unit]
    for _ in range(20):
        before = splits.copy()
        for unit in order:
            filled[splits[unit]] -= counts[unit]
            change = cost(filled + counts[unit]) - cost(filled)
            if change.min() < change[splits[unit]] - 1e-9:
                splits[unit] = np.argmin(change)
            filled[splits[unit]] += counts[unit]
        if (splits == before).all():
            break
    return splits[units]


class TestGroups:
    def test_the_first_parentheses_of_the_pattern_name_the_group(self):
        assert groups_of(["C12_a.png", "C7_b.png"], r"^(C\d+)") == ["C12", "C7"]

    def test_without_a_pattern_there_are_no_groups(self):
        assert groups_of(["a.png", "b.png"], "") == ["", ""]

    def test_names_that_do_not_match_are_refused_by_name(self):
        names = ["C1.png", *(f"x{n}.png" for n in range(9))]
        with pytest.raises(InputError) as error:
            groups_of(names, r"^(C\d+)")
        assert error.value.subject == r"prepare.group_pattern '^(C\d+)'"
        assert "9 of 10" in error.value.found and "x0.png, x1.png, x2.png" in error.value.found

    def test_an_empty_group_is_no_match(self):
        with pytest.raises(InputError, match="none in 1 of 1"):
            groups_of(["1.png"], r"^(C?)")

    @pytest.mark.parametrize(("pattern", "message"), [("(", "regular expression"), ("C", "a group in parentheses")])
    def test_a_pattern_without_a_group_is_refused(self, pattern: str, message: str):
        with pytest.raises(InputError, match=message):
            groups_of(["C1.png"], pattern)


class TestUnits:
    def test_images_of_a_group_are_one_unit_and_others_stand_alone(self):
        assert connected_units(["a", "b", "a", "", ""], list("12345")).tolist() == [0, 1, 0, 2, 3]

    def test_the_same_pixels_are_one_unit(self):
        assert connected_units(["", "", ""], ["x", "y", "x"]).tolist() == [0, 1, 0]

    def test_groups_that_share_pixels_are_one_unit(self):
        assert connected_units(["a", "b", "b", "c"], ["1", "1", "2", "3"]).tolist() == [0, 0, 0, 1]

    def test_a_group_named_like_a_hash_is_not_taken_for_one(self):
        assert connected_units(["x", ""], ["1", "x"]).tolist() == [0, 1]


class TestAssign:
    def test_without_groups_each_class_has_its_share_to_the_image(self):
        class_index = np.repeat([0, 1, 2], [100, 40, 20])
        splits = split(class_index, np.arange(160))
        for index, count in enumerate((100, 40, 20)):
            found = np.bincount(splits[class_index == index], minlength=3)
            assert np.abs(found - np.multiply(SHARES, count)).max() <= 1

    @pytest.mark.parametrize("seed", range(8))
    def test_no_unit_is_in_two_splits(self, seed: int):
        class_index, units = patients(seed)
        splits = split(class_index, units, seed)
        assert all(len(set(splits[units == unit])) == 1 for unit in np.unique(units))

    @pytest.mark.parametrize("seed", range(8))
    def test_by_patient_splits_and_classes_come_near_their_shares(self, seed: int):
        class_index, units = patients(seed)
        splits = split(class_index, units, seed)
        for number, share in enumerate(SHARES):
            assert (splits == number).mean() == pytest.approx(share, abs=0.02)
            assert class_index[splits == number].mean() == pytest.approx(class_index.mean(), abs=0.03)

    def test_a_large_patient_is_not_alone_in_a_split(self):
        class_index, units = patients(0)
        splits = split(class_index, units)
        assert all(len(np.unique(units[splits == number])) >= 10 for number in range(3))

    def test_the_same_seed_gives_the_same_splits_and_another_others(self):
        class_index, units = patients(0)
        first = split(class_index, units, seed=3)
        np.testing.assert_array_equal(first, split(class_index, units, seed=3))
        assert (first != split(class_index, units, seed=4)).mean() > 0.2

    def test_the_order_of_the_images_within_their_units_does_not_matter(self):
        class_index, units = patients(1)
        order = np.random.default_rng(0).permutation(len(units))
        np.testing.assert_array_equal(split(class_index, units)[order], split(class_index[order], units[order]))

    def test_the_rarest_class_that_can_be_parted_stands_in_every_split(self):
        class_index = np.repeat([0, 1], [500, 3])
        for seed in range(10):
            splits = split(class_index, np.arange(503), seed)
            assert sorted(splits[class_index == 1]) == list(range(len(SPLITS)))

    def test_three_groups_of_one_class_stand_in_three_splits(self):
        units = np.concatenate([np.repeat([0, 1, 2], [30, 2, 1]), np.arange(3, 203)])
        class_index = np.concatenate([np.zeros(33, int), np.ones(200, int)])
        assert len(set(split(class_index, units)[class_index == 0])) == 3

    @pytest.mark.parametrize("classes", [2, 5, 150])
    @pytest.mark.parametrize("largest", [1, 2, 20])
    @pytest.mark.parametrize("shares", [(0.15, 0.25), (0.2, 0.2), (1 / 3, 1 / 3)])
    def test_they_are_those_of_the_whole_table_to_the_unit(self, classes: int, largest: int, shares: tuple):
        random = np.random.default_rng(classes * largest)
        class_index = np.concatenate([np.repeat(np.arange(classes), 3), random.integers(0, classes, 150)])
        count = len(class_index)
        units = random.permutation(np.repeat(np.arange(count), random.integers(1, largest + 1, count))[:count])
        units = np.unique(units, return_inverse=True)[1]
        expected = dense_splits(class_index, units, *shares, seed=7)
        np.testing.assert_array_equal(assign_splits(class_index, units, *shares, seed=7), expected)

    def test_memory_grows_with_the_images_not_with_units_times_classes(self):
        class_index = np.repeat(np.arange(600), 3)
        tracemalloc.start()
        split(class_index, np.arange(1800))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1800 * 600  # bytes: an eighth of the table
