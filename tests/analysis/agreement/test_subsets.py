import numpy as np

from wheretolook.analysis.agreement.subsets import all_classes, class_members


def test_all_classes_are_a_star_and_a_class_called_so_is_another():
    labels = np.array([0, 1, 1])
    for names, mark in ((("a", "b"), "*"), (("*", "b"), "*/")):
        members = dict(class_members(labels, names))
        assert list(members) == [*names, mark] and mark == all_classes(names)
        assert members[mark].tolist() == [True] * 3
        assert members[names[0]].tolist() == [True, False, False]
