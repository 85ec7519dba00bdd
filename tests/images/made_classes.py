"""Small class folders for tests: each image has its own pixels."""

from pathlib import Path

import numpy as np
from PIL import Image

MASK_VALUES = "0:background,100:foreground,200:evidence"


def write_image(path: Path, seed: int, width: int = 20, height: int = 20) -> Path:
    """An image of noise, the same for the same seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def write_mask(path: Path, width: int = 20, height: int = 20) -> Path:
    """Background, with evidence in the upper left quarter."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((height, width), np.uint8)
    mask[: height // 2, : width // 2] = 200
    Image.fromarray(mask).save(path)
    return path


def write_classes(raw: Path, counts: dict[str, int]) -> Path:
    """RAW/images/CLASS/pN_IMAGE.png, with ten groups p0 to p9 in each class."""
    seeds = iter(range(10_000))
    for name, count in counts.items():
        for number in range(count):
            write_image(raw / "images" / name / f"p{number % 10}_{number:03d}.png", next(seeds))
    return raw
