"""The table of predictions in the terminal."""

import numpy as np

from wheretolook.look.requests import predictions_table


def test_a_table_has_a_column_for_each_of_few_classes():
    table = predictions_table(["a", "long-name"], ["cat", "dog"], np.array([[0.75, 0.25], [0.125, 0.875]]))
    assert table.splitlines() == [
        "image      predicted    cat    dog",
        "a          cat        0.750  0.250",
        "long-name  dog        0.125  0.875",
    ]


def test_a_table_of_many_classes_shows_the_first_three():
    names = [f"class{k}" for k in range(8)]
    table = predictions_table(["a"], names, np.array([[0, 0.1, 0, 0.6, 0, 0.3, 0, 0]]))
    assert table.splitlines()[1].split() == ["a", "class3", "0.600", "class5", "0.300", "class1", "0.100"]
