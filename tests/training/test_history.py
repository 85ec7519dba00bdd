from math import inf, log

import numpy as np
import pytest
import torch

from wheretolook.training.batches import balanced_weights
from wheretolook.training.objective import Tally, best_epoch, epoch_entry, head_losses, kept_epoch, loss_of_guessing

# Two heads, three images, two classes; worked by hand: right answers of the heads are 2 and 1.
LOGITS = torch.tensor([[[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]], [[0.0, 2.0], [1.0, 0.0], [0.0, 1.0]]])
LABELS = torch.tensor([0, 1, 1])
CPU = torch.device("cpu")


def tally(images: int, loss: list[float], correct: list[int]) -> Tally:
    return Tally(images, torch.tensor([loss, correct], dtype=torch.float64))


def test_losses_are_minus_the_log_of_the_true_class_score():
    scores = LOGITS.softmax(2)
    expected = [[-scores[head, image, LABELS[image]].log() for image in range(3)] for head in range(2)]
    assert torch.allclose(head_losses(LOGITS, LABELS), torch.tensor(expected))


def test_the_loss_of_guessing_is_that_of_the_classes_shares():
    balanced, lopsided = np.array([0, 1, 2]), np.array([0, 0, 0, 1])
    assert loss_of_guessing(balanced, balanced) == pytest.approx(log(3))
    assert loss_of_guessing(lopsided, np.array([0, 1])) == pytest.approx(-(log(0.75) + log(0.25)) / 2)
    assert loss_of_guessing(lopsided, balanced) == inf


def test_a_tally_counts_right_answers_and_sums_losses_over_batches():
    whole, parts = Tally.empty(2, CPU), Tally.empty(2, CPU)
    losses = head_losses(LOGITS, LABELS)
    right = LOGITS.argmax(2) == LABELS
    whole.add(losses, right)
    parts.add(losses[:, :1], right[:, :1])
    parts.add(losses[:, 1:], right[:, 1:])
    assert whole.images == parts.images == 3
    (loss, correct), (of_parts, correct_of_parts) = whole.sums.tolist(), parts.sums.tolist()
    assert correct == correct_of_parts == [2, 1]
    assert loss == pytest.approx(of_parts)
    assert loss == pytest.approx(losses.sum(1).tolist())


def test_a_tally_is_not_rounded_to_float32():
    many = Tally.empty(1, CPU)
    many.add(torch.tensor([[2.0**24]]), torch.tensor([[True]]))
    many.add(torch.tensor([[1.0]]), torch.tensor([[True]]))
    assert many.sums[0].tolist() == [2**24 + 1]


def test_an_epoch_gives_means_by_head_and_the_last_heads_at_the_top():
    train, val = tally(4, [2.0, 1.0], [1, 3]), tally(2, [3.0, 0.5], [0, 2])
    entry = epoch_entry(1, ("block1", "block2"), train, val)
    last = {"train_loss": 0.25, "train_accuracy": 0.75, "val_loss": 0.25, "val_accuracy": 1.0}
    first = {"train_loss": 0.5, "train_accuracy": 0.25, "val_loss": 1.5, "val_accuracy": 0.0}
    assert entry == {"epoch": 1, **last, "layers": {"block1": first, "block2": last}}


def test_the_best_epoch_has_the_lowest_validation_loss_and_of_equals_comes_first():
    history = [{"epoch": n, "val_loss": loss} for n, loss in enumerate([0.5, 0.2, 0.3, 0.2], start=1)]
    assert best_epoch(history)["epoch"] == kept_epoch(history, "best")["epoch"] == 2
    assert kept_epoch(history, "last")["epoch"] == 4


def test_with_balanced_weights_guessing_gives_every_class_the_same_share():
    train, val = np.array([0, 0, 0, 1]), np.array([0, 1])
    weights = balanced_weights(train, 2)
    assert weights.tolist() == pytest.approx([4 / (2 * 3), 4 / (2 * 1)])
    assert weights[train].mean() == pytest.approx(1)
    assert loss_of_guessing(train, val, weights) == pytest.approx(weights[val].mean() * np.log(2))


def test_a_class_without_training_images_has_no_weight():
    assert balanced_weights(np.array([0, 2, 2]), 4).tolist() == pytest.approx([0.75, 0, 0.375, 0])
