"""`wheretolook look`, as a person types it, on made-up models and images."""

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tests.cams.made import write_model
from wheretolook.cli.main import main

OTHERS = ("predictions.csv", "manifest.json")


@pytest.fixture
def look(tmp_path):
    """`wheretolook look` of two images of noise with a made-up model, whose every head is trained."""
    write_model(tmp_path / "every.safetensors", loss="every")
    write_model(tmp_path / "last.safetensors", loss="last")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 40, 50, 3), dtype=np.uint8)
    for name, image in zip(("a", "b"), pixels, strict=True):
        Image.fromarray(image).save(tmp_path / f"{name}.png")

    def look(*words, images=("a.png", "b.png"), model="every"):
        paths = [str(tmp_path / name) for name in images]
        options = ["--model", str(tmp_path / f"{model}.safetensors"), "--device", "cpu", "--out", str(tmp_path / "out")]
        done = CliRunner().invoke(main, ["look", *paths, *options, *words])
        return done, sorted(path.name for path in (tmp_path / "out").glob("*") if path.name not in OTHERS)

    return look
