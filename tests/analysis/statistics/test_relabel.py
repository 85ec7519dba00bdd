from math import comb, exp

import numpy as np
import pytest

from wheretolook.analysis.statistics.permutation import design_of

GROUPS = np.array([0, 0, 1, 1, 2, 2, 3, 4])
LABELS = np.array([0, 0, 1, 1, 0, 1, 0, 1])  # group 2 holds both classes


def test_whole_groups_keep_one_label_and_mixed_groups_keep_their_counts() -> None:
    drawn = design_of(LABELS, GROUPS).relabel(200, np.random.default_rng(0))
    assert (drawn[:, 0] == drawn[:, 1]).all()
    assert (drawn[:, 2] == drawn[:, 3]).all()
    assert (drawn[:, 4] + drawn[:, 5] == 1).all()
    assert (drawn[:, [0, 2, 6, 7]].sum(axis=1) == 2).all()
    assert len(np.unique(drawn, axis=0)) == comb(4, 2) * 2


def test_number_of_relabellings_is_counted() -> None:
    assert exp(design_of(LABELS, GROUPS).log_relabellings()) == pytest.approx(12)
    assert not design_of(LABELS, GROUPS).allows_a_p_value()
    labels = np.arange(20) % 2
    assert exp(design_of(labels, np.arange(20)).log_relabellings()) == pytest.approx(comb(20, 10))


def test_three_classes_are_exchanged_as_they_are() -> None:
    labels = np.arange(12) % 3
    drawn = design_of(labels, np.arange(12)).relabel(50, np.random.default_rng(0))
    assert (np.sort(drawn, axis=1) == np.sort(labels)).all()
