import numpy as np
import pytest

from tests.report.fake import World
from wheretolook.base.prepared import load_prepared
from wheretolook.mapstore.store import load_maps
from wheretolook.report.figures_maps import telling
from wheretolook.report.gallery import Gallery, choose_rows, disagreement, make_gallery


def test_each_class_is_shown_right_and_wrong_in_equal_shares():
    labels = np.repeat([0, 1], 50)
    wrong = np.arange(100) % 2 == 0
    chosen = choose_rows(labels, wrong, 16)
    cells = list(zip(labels[chosen].tolist(), wrong[chosen].tolist(), strict=True))
    assert {cell: cells.count(cell) for cell in cells} == dict.fromkeys(
        [(0, True), (0, False), (1, True), (1, False)], 4
    )


def test_no_part_is_crowded_out_where_most_images_are_wrong():
    labels = np.repeat([0, 1, 2], [300, 40, 4])
    wrong = np.ones(344, bool)
    wrong[[5, 310]] = False
    chosen = choose_rows(labels, wrong, 30)
    assert len(chosen) == 30
    assert {5, 310} <= set(chosen.tolist())  # the only ones that are right
    assert set(range(340, 344)) <= set(chosen.tolist())  # all of the smallest class


def test_wrong_images_are_all_shown_as_long_as_they_leave_room():
    labels = np.repeat([0, 1], 50)
    wrong = np.zeros(100, bool)
    wrong[[7, 60, 99]] = True
    chosen = choose_rows(labels, wrong, 11)
    assert {7, 60, 99} <= set(chosen.tolist())
    assert (labels[np.setdiff1d(chosen, [7, 60, 99])] == 0).sum() == 4


def test_what_a_small_class_cannot_fill_the_others_share():
    labels = np.array([0] * 2 + [1] * 50 + [2] * 50)
    chosen = choose_rows(labels, np.zeros(102, bool), 22)
    assert np.bincount(labels[chosen]).tolist() == [2, 10, 10]


def test_a_gallery_as_large_as_the_split_holds_all_of_it_in_order():
    chosen = choose_rows(np.array([1, 0, 1, 0]), np.array([False, True, False, False]), 9)
    assert chosen.tolist() == [0, 1, 2, 3]


def test_more_wrong_images_than_places_are_spread_over_the_split():
    chosen = choose_rows(np.zeros(100, int), np.ones(100, bool), 4)
    assert chosen.tolist() == [0, 33, 66, 99]


def test_of_each_kind_easy_and_hard_images_are_shown():
    ease = np.array([0.5, 0.9, 0.1, 0.7, 0.3, 0.8, 0.2])
    assert choose_rows(np.zeros(7, int), np.zeros(7, bool), 3, ease).tolist() == [0, 1, 2]  # 0.1, 0.5 and 0.9
    assert choose_rows(np.zeros(7, int), np.zeros(7, bool), 1, ease).tolist() == [0]  # the one in the middle


def test_the_gallery_says_how_many_of_each_kind_it_shows(world: World):
    prepared = load_prepared(world.root / "data/prepared")
    maps = {name: load_maps(world.root / "data/cams" / name) for name in world.names}
    gallery = make_gallery(maps, prepared.labels, prepared.rows("test"), 8)
    assert sum(cell.shown for cell in gallery.cells) == len(gallery.rows) == 8
    assert sum(cell.total for cell in gallery.cells) == gallery.total
    assert all(cell.shown for cell in gallery.cells), "every kind that has images"


def test_pictures_show_every_class_also_one_that_is_always_wrong():
    labels = np.array([0, 0, 0, 1, 1, 2])
    predicted = np.array([0, 0, 1, 0, 0, 2])  # class 1 is never right
    scores = {"one": np.eye(3)[predicted]}
    gallery = Gallery(np.arange(6), 6, scores, np.array([0.5, 0.1, 0.2, 0.3, 0.9, 0.4]), "cam")
    chosen = telling(gallery, labels, wrong=1)
    assert chosen[:5] == [1, 0, 3, 4, 5]  # of each class what is agreed on most, then least
    assert chosen[5:] == [2]


def test_wrong_pictures_are_of_different_classes():
    labels = np.array([0, 0, 0, 0, 1, 1])
    scores = {"one": np.eye(2)[[0, 1, 1, 1, 0, 1]]}
    gallery = Gallery(np.arange(6), 6, scores, np.zeros(6), "cam")
    assert telling(gallery, labels, wrong=2)[-2:] == [1, 4]


def test_disagreement_is_one_less_the_mean_correlation_of_pairs():
    rng = np.random.default_rng(0)
    maps = [rng.normal(size=(5, 4, 4)).astype(np.float32) for _ in range(3)]
    expected = [
        1 - np.mean([np.corrcoef(maps[a][i].ravel(), maps[b][i].ravel())[0, 1] for a, b in ((0, 1), (0, 2), (1, 2))])
        for i in range(5)
    ]
    np.testing.assert_allclose(disagreement(maps), expected, rtol=1e-6)


def test_maps_of_unequal_size_meet_on_the_coarser_grid():
    coarse = np.array([[[1.0, 2.0], [3.0, 5.0]]], np.float32)
    fine = coarse.repeat(3, axis=1).repeat(3, axis=2)
    np.testing.assert_allclose(disagreement([coarse, fine]), 0, atol=1e-6)


def test_a_constant_map_has_no_correlation():
    varied = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    constant = np.ones((2, 2, 2), np.float32)
    assert np.isnan(disagreement([varied, constant])).all()
    # The pair that has one still counts.
    np.testing.assert_allclose(disagreement([varied, constant, varied]), 0, atol=1e-6)


def test_a_map_that_varies_by_rounding_alone_is_constant_here_as_in_every_comparison():
    varied = np.arange(4, dtype=np.float32).reshape(1, 2, 2)
    rounded = np.float32(1) + np.array([[[0, 0], [0, 1]]], np.float32) * np.finfo(np.float32).eps
    assert rounded.std() > 0 and np.isnan(disagreement([varied, rounded])).all()


def test_one_model_has_no_disagreement():
    assert np.isnan(disagreement([np.ones((3, 2, 2), np.float32)])).all()


def test_a_gallery_tells_what_each_model_said(world: World):
    prepared = load_prepared(world.root / "data/prepared")
    maps = {name: load_maps(world.root / "data/cams" / name) for name in world.names}
    gallery = make_gallery(maps, prepared.labels, prepared.rows("test"), 8)
    assert gallery.total == 20
    assert gallery.method == "cam"
    assert len(gallery.rows) == 8
    assert set(prepared.index["split"].iloc[gallery.rows]) == {"test"}
    for name in world.names:
        np.testing.assert_array_equal(
            gallery.scores[name].argmax(axis=1), maps[name].logits()[gallery.rows].argmax(axis=1)
        )


@pytest.mark.parametrize("count", [1, 3, 20])
def test_the_number_of_images_is_the_requested_one(world: World, count: int):
    prepared = load_prepared(world.root / "data/prepared")
    maps = {"last-0": load_maps(world.root / "data/cams/last-0")}
    assert len(make_gallery(maps, prepared.labels, prepared.rows("test"), count).rows) == count
