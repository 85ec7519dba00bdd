import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from wheretolook.analysis.statements.pooled import auc, recognition

RNG = np.random.default_rng(0)


def test_area_is_scikit_learns() -> None:
    own, rest = RNG.normal(1, 1, 30).round(1), RNG.normal(0, 1, 50).round(1)
    wanted = roc_auc_score(np.r_[np.ones(30), np.zeros(50)], np.r_[own, rest])
    assert auc(own, rest) == pytest.approx(wanted)


def three_classes(confused: bool) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat([0, 1, 2], 60)
    logits = RNG.normal(size=(180, 3))
    logits[np.arange(180), np.where(confused & (labels == 1), 0, labels)] += 4
    return logits.astype(np.float32), labels


def test_class_is_recognised_only_where_it_is_told_from_each_other_class() -> None:
    logits, labels = three_classes(confused=False)
    found = recognition(logits, labels, np.arange(180))
    assert [about.fails() for about in found.values()] == [None] * 3
    assert found[0].recall[1] > 0.8
    logits, labels = three_classes(confused=True)
    found = recognition(logits, labels, np.arange(180))
    assert (found[0].fails(), found[1].fails(), found[2].fails()) == (1, -1, None)


def test_few_groups_widen_the_bounds() -> None:
    logits, labels = three_classes(confused=False)
    alone, grouped = (recognition(logits, labels, groups)[0] for groups in (np.arange(180), np.arange(180) // 6))
    assert grouped.discrimination[1][1] < alone.discrimination[1][1]
    assert grouped.recall[1] <= alone.recall[1]
