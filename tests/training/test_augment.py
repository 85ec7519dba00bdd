import numpy as np
import torch

from wheretolook.training.batches import LIGHT, SHIFT, TINT, jitter, move


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def symmetries(image: np.ndarray) -> list[np.ndarray]:
    """The eight ways to turn and flip a square image."""
    return [np.rot90(side, turns) for side in (image, image[::-1]) for turns in range(4)]


def test_without_room_to_shift_all_eight_flips_and_quarter_turns_come_and_nothing_else():
    image = np.random.default_rng(0).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    assert round(SHIFT * 5) == 0
    moved = move(torch.from_numpy(image).repeat(200, 1, 1, 1), generator()).numpy()
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
    moved = move(torch.from_numpy(image).repeat(100, 1, 1, 1), generator()).numpy()
    assert len({one.tobytes() for one in moved}) > 40
    assert all(one.tobytes() in ways for one in moved)


def test_images_keep_to_themselves():
    """Image i has the colour i: none takes pixels of another."""
    images = torch.arange(6, dtype=torch.uint8)[:, None, None, None].expand(6, 30, 30, 3)
    assert torch.equal(move(images, generator()), images)


def test_the_same_seed_moves_alike():
    images = torch.randint(0, 256, (4, 20, 20, 3), dtype=torch.uint8, generator=generator())
    assert torch.equal(move(images, generator(5)), move(images, generator(5)))
    assert not torch.equal(move(images, generator(5)), move(images, generator(6)))


def test_light_and_tint_stay_within_their_bounds():
    factors = jitter(torch.ones(500, 3, 1, 1), generator()).flatten(1)
    light = factors.mean(1)
    assert 1 - LIGHT - TINT <= light.min() < 0.9
    assert 1.1 < light.max() <= 1 + LIGHT + TINT
    assert (factors / light[:, None] - 1).abs().max() < 2 * TINT
    assert factors.std(1).min() > 0
