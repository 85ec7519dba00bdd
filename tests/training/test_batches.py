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
