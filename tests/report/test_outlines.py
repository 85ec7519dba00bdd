import re

import numpy as np
from hypothesis import given
from hypothesis.extra.numpy import arrays

from wheretolook.report.page_data import outline


def test_one_pixel_has_four_edges():
    inside = np.zeros((4, 5), bool)
    inside[2, 3] = True
    assert outline(inside) == "M3 2h1M3 3h1M3 2v1M4 2v1"


def test_edges_in_a_row_are_one_stroke_and_the_border_counts():
    assert outline(np.ones((2, 3), bool)) == "M0 0h3M0 2h3M0 0v2M3 0v2"


def test_nothing_has_no_outline():
    assert outline(np.zeros((3, 3), bool)) == ""


@given(arrays(bool, (5, 6)))
def test_the_strokes_are_as_long_as_there_are_edges(inside):
    padded = np.pad(inside, 1)
    edges = (padded[1:] != padded[:-1]).sum() + (padded[:, 1:] != padded[:, :-1]).sum()
    assert sum(map(int, re.findall(r"[hv](\d+)", outline(inside)))) == edges
