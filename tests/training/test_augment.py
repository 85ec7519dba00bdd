from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.networks.small import OPTIONS, prepared, train
from wheretolook.base.errors import InputError
from wheretolook.networks.inputs import to_input
from wheretolook.params.train_options import AUGMENT_STEPS, PRESETS, read_augment
from wheretolook.training.batches import Augmentation, jitter, move, random_warps, warp

SHIFT, LIGHT, TINT = 0.04, 0.15, 0.05
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
both = partial(move, shift=SHIFT, flip=True, turn=True)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def symmetries(image: np.ndarray) -> list[np.ndarray]:
    """The eight ways to turn and flip a square image."""
    return [np.rot90(side, turns) for side in (image, image[::-1]) for turns in range(4)]


def test_without_room_to_shift_all_eight_flips_and_quarter_turns_come_and_nothing_else():
    image = np.random.default_rng(0).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    assert round(SHIFT * 5) == 0
    moved = both(torch.from_numpy(image).repeat(200, 1, 1, 1), generator()).numpy()
    ways = [way.tobytes() for way in symmetries(image)]
    assert {one.tobytes() for one in moved} == set(ways)


def test_a_moved_image_is_a_turned_and_shifted_one_whose_border_is_repeated():
    image = np.random.default_rng(1).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    furthest = round(SHIFT * 20)
    ways = {
        np.pad(way, ((furthest,) * 2, (furthest,) * 2, (0, 0)), mode="edge")[
            down : down + 20, across : across + 20
        ].tobytes()
        for way in symmetries(image)
        for down in range(2 * furthest + 1)
        for across in range(2 * furthest + 1)
    }
    moved = both(torch.from_numpy(image).repeat(100, 1, 1, 1), generator()).numpy()
    assert len({one.tobytes() for one in moved}) > 40
    assert all(one.tobytes() in ways for one in moved)


def test_images_keep_to_themselves():
    """Image i has the colour i: none takes pixels of another."""
    images = torch.arange(6, dtype=torch.uint8)[:, None, None, None].expand(6, 30, 30, 3)
    assert torch.equal(both(images, generator()), images)


def test_the_same_seed_moves_alike():
    images = torch.randint(0, 256, (4, 20, 20, 3), dtype=torch.uint8, generator=generator())
    assert torch.equal(both(images, generator(5)), both(images, generator(5)))
    assert not torch.equal(both(images, generator(5)), both(images, generator(6)))


def test_light_and_tint_stay_within_their_bounds():
    factors = jitter(torch.ones(500, 3, 1, 1), generator(), LIGHT, TINT).flatten(1)
    light = factors.mean(1)
    assert 1 - LIGHT - TINT <= light.min() < 0.9
    assert 1.1 < light.max() <= 1 + LIGHT + TINT
    assert (factors / light[:, None] - 1).abs().max() < 2 * TINT
    assert factors.std(1).min() > 0


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ("flip", ((0, 0), (0, 1))),
        ("turn", ((0, 0), (1, 0), (2, 0), (3, 0))),
        ("flip+turn", tuple((turns, flip) for turns in range(4) for flip in (0, 1))),
    ],
)
def test_a_step_gives_its_own_symmetries_and_no_others(steps: str, expected: tuple[tuple[int, int], ...]):
    """`flip` mirrors left to right alone; quarter turns alone never mirror."""
    image = np.random.default_rng(0).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    many = torch.from_numpy(image).repeat(200, 1, 1, 1)
    found = Augmentation(read_augment(steps)).inputs(many, MEAN, STD, generator())
    ways = [np.rot90(image[:, ::-1] if flip else image, turns).copy() for turns, flip in expected]
    wanted = to_input(torch.from_numpy(np.stack(ways)), MEAN, STD)
    assert {one.numpy().tobytes() for one in found.contiguous()} == {w.numpy().tobytes() for w in wanted.contiguous()}


def test_true_is_the_preset_cells_and_gives_what_moves_and_jitter_always_gave():
    images = torch.randint(0, 256, (6, 24, 24, 3), dtype=torch.uint8, generator=generator())
    stream = generator(3)
    expected = jitter(to_input(both(images, stream), MEAN, STD), stream, LIGHT, TINT)
    assert torch.equal(Augmentation(read_augment(True)).inputs(images, MEAN, STD, generator(3)), expected)
    assert read_augment(True) == read_augment("cells")


def test_none_leaves_images_as_they_are():
    images = torch.randint(0, 256, (6, 24, 24, 3), dtype=torch.uint8, generator=generator())
    for value in (False, "none"):
        found = Augmentation(read_augment(value)).inputs(images, MEAN, STD, generator())
        assert torch.equal(found, to_input(images, MEAN, STD))


def test_a_warp_turns_about_the_centre_and_repeats_the_border():
    images = torch.rand(1, 3, 9, 9, generator=generator())
    quarter = torch.tensor([[[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]]])
    assert torch.allclose(warp(images, quarter), torch.rot90(images, 1, (2, 3)), atol=1e-6)
    half = torch.tensor(
        [[[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]]
    )  # moved by half of the side: the last column fills the rest
    moved = warp(images, half)
    assert torch.allclose(moved[..., 5:], images[..., -1:].expand(-1, -1, -1, 4), atol=1e-6)
    assert torch.allclose(moved, functional.grid_sample(
        images, functional.affine_grid(half, [1, 3, 9, 9], align_corners=False), padding_mode="border",
        align_corners=False), atol=1e-6)  # fmt: skip


def test_warps_stay_within_their_bounds():
    turned = random_warps(500, 0.2, 0.0, 0.0, generator())
    angles = torch.atan2(turned[:, 1, 0], turned[:, 0, 0])
    assert angles.abs().max() <= 0.2 and angles.max() > 0.18 and angles.min() < -0.18
    zoomed = 1 / random_warps(500, 0.0, 0.1, 0.0, generator())[:, 0, 0]
    assert 0.9 <= zoomed.min() < 0.92 and 1.08 < zoomed.max() <= 1.1001
    cut = random_warps(500, 0.0, 0.0, 0.4, generator())
    sides, offsets = cut[:, 0, 0], cut[:, :, 2]
    assert 0.6 <= sides.min() < 0.62 and sides.max() <= 1
    assert (offsets.abs() <= 1 - sides[:, None] + 1e-6).all(), "the part lies inside the image"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("faecs", "'faecs'"), ("flip+spin", "'spin'"), ("flip+flip", "flip twice"), ("rotate:200", "'200'"),
        ("rotate:ten", "'ten'"), ("flip:3", "'3'"), ("rotate:nan", "'nan'"), ("", "''"), ("shift:0", "'0'"),
    ],
)  # fmt: skip
def test_what_is_no_augmentation_is_refused(value: str, found: str):
    with pytest.raises(InputError) as error:
        read_augment(value)
    assert error.value.found == found
    if found in ("'faecs'", "'spin'"):
        assert all(name in error.value.expected for name in (*PRESETS, *AUGMENT_STEPS))


def test_every_preset_can_be_read_and_says_what_it_is_for():
    for name, (steps, images) in PRESETS.items():
        assert read_augment(name) == (read_augment(steps) if steps else {}) and images
    assert read_augment("rotate:5+flip+shift") == {"flip": 0, "shift": 4, "rotate": 5}


def test_quarter_turns_hide_what_shows_only_by_its_direction_and_the_preset_faces_keeps_it():
    """The class is where the spot is: above the centre or below it."""
    data = prepared(80)
    images = np.full_like(data.images, 100)
    for image, label in zip(images, data.labels, strict=True):
        image[1 + 10 * label : 5 + 10 * label, 6:10] = 250
    upright = replace(data, images=images)
    options = replace(OPTIONS, epochs=12, width=8)
    cells, faces = (train(upright, replace(options, augment=preset))[1] for preset in ("cells", "faces"))
    assert faces.history[-1]["train_accuracy"] > 0.95
    assert cells.history[-1]["train_accuracy"] < 0.75
