import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wheretolook.analysis.grid import BLOCK_BYTES, row_blocks, whole_group_blocks


def test_rows_come_once_each_and_in_order() -> None:
    rows = np.arange(10)
    blocks = list(row_blocks(rows, BLOCK_BYTES // 4))
    assert [len(block) for block in blocks] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate(blocks), rows)


@given(st.lists(st.integers(0, 5), max_size=40), st.integers(1, 12))
def test_no_group_is_cut(groups: list[int], size: int) -> None:
    codes = np.array(groups, dtype=np.int64)
    blocks = list(whole_group_blocks(codes, size))
    assert sorted(i for block in blocks for i in block) == list(range(len(codes)))
    homes = [set(codes[block]) for block in blocks]
    assert all(a.isdisjoint(b) for i, a in enumerate(homes) for b in homes[:i])
    assert all(len(block) <= size or len(set(codes[block])) == 1 for block in blocks)
