import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wheretolook.training.batches import epoch_batches, steps_per_epoch

ROWS = np.arange(100, 123)


@given(count=st.integers(1, 60), batch_size=st.integers(1, 20))
def test_every_image_comes_once_in_batches_of_nearly_one_size(count: int, batch_size: int):
    batches = epoch_batches(np.arange(count), batch_size, seed=0, epoch=0)
    sizes = [len(batch) for batch in batches]
    assert len(batches) == steps_per_epoch(count, batch_size)
    assert sorted(np.concatenate(batches).tolist()) == list(range(count))
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1


def test_each_epoch_and_each_seed_has_its_own_order():
    orders = {np.concatenate(epoch_batches(ROWS, 8, seed, epoch)).tobytes() for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


def test_the_same_seed_and_epoch_have_the_same_order():
    first, second = (np.concatenate(epoch_batches(ROWS, 8, 1, 2)) for _ in range(2))
    assert np.array_equal(first, second)


def test_balanced_sampling_draws_each_class_as_often_and_repeats_rare_images_evenly():
    labels = np.array([0] * 18 + [1] * 5)
    drawn = np.concatenate(epoch_batches(ROWS, 8, 0, 0, labels))
    assert len(drawn) == len(ROWS)
    counts = np.bincount(drawn - 100, minlength=23)
    assert sorted((counts[:18].sum(), counts[18:].sum())) == [11, 12]
    assert set(counts[18:].tolist()) == {2, 3} or set(counts[18:].tolist()) == {2}
    assert counts[:18].max() == 1
    assert not np.array_equal(drawn, np.concatenate(epoch_batches(ROWS, 8, 0, 1, labels)))
