"""The picture of the augmentation shows what training does, at the largest amounts."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.pipeline.code_dependencies import ROOT
from tests.report.fake import drawing_only, page_html, write_world
from wheretolook.base.prepared import load_prepared
from wheretolook.params.train_options import AUGMENT_STEPS, PRESETS, read_augment
from wheretolook.report.figures_maps import augmented, draw_augmentation
from wheretolook.report.loaded import load_results
from wheretolook.training.batches import jitter, warp

MEAN = np.array([90.0, 100.0, 110.0])
IMAGE = np.random.default_rng(0).integers(40, 200, (8, 8, 3)).repeat(4, axis=0).repeat(4, axis=1).astype(np.uint8)


def shown(step: str) -> np.ndarray:
    pictures = augmented(IMAGE, read_augment(step), MEAN)
    assert next(iter(pictures)) == "image" and np.array_equal(pictures["image"], IMAGE)
    return list(pictures.values())[1]


def test_flips_turns_and_shifts_are_exact() -> None:
    assert np.array_equal(shown("flip"), IMAGE[:, ::-1])
    assert np.array_equal(shown("turn"), np.rot90(IMAGE))
    moved = shown("shift:25")
    assert np.array_equal(moved[8:, 8:], IMAGE[:-8, :-8]) and (moved[:8, 8:] == IMAGE[0, :-8]).all()


@pytest.mark.parametrize(
    ("step", "angle", "scale", "offset"),
    [("rotate:20", np.deg2rad(20), 1, 0), ("zoom:30", 0, 1 / 1.3, 0), ("crop:40", 0, 0.6, -0.4)],
)
def test_turned_enlarged_and_cut_images_are_those_of_training(
    step: str, angle: float, scale: float, offset: float
) -> None:
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    matrix = torch.tensor([[[cosine, -sine, offset], [sine, cosine, offset]]], dtype=torch.float32)
    trained = warp(torch.from_numpy(IMAGE.copy()).permute(2, 0, 1)[None].float(), matrix)[0].permute(1, 2, 0).numpy()
    difference = np.abs(trained - shown(step))[2:-2, 2:-2]
    assert np.median(difference) <= 2, "other filters at edges, the same places"
    assert np.mean(difference) < 0.35 * np.abs(trained - IMAGE)[2:-2, 2:-2].mean()


def test_light_and_tint_are_those_of_training() -> None:
    class Largest(torch.Generator):
        """Draws of 1."""

    ones = torch.from_numpy((IMAGE - MEAN).transpose(2, 0, 1)[None].copy())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "rand", lambda shape, generator: torch.ones(shape))
        bright = jitter(ones.clone(), Largest(), 0.3, 0.0)[0].numpy().transpose(1, 2, 0) + MEAN
    assert np.abs(bright.clip(0, 255) - shown("light:30")).max() <= 0.501
    red = shown("tint:30")
    assert np.array_equal(red[..., 1:], IMAGE[..., 1:]) and not np.array_equal(red[..., 0], IMAGE[..., 0])


def test_page_and_figure_show_each_augmentation_with_what_it_assumes(tmp_path: Path) -> None:
    write_world(tmp_path, ("last-0", "last-1"))
    page = page_html(tmp_path)
    assert "Augmentation cells" in page and "no direction is up" in page
    results = load_results(tmp_path / "reports", tmp_path / "data/prepared")
    with drawing_only("png"):
        draw_augmentation(tmp_path / "augmentation.png", results, load_prepared(tmp_path / "data/prepared"))
    assert (tmp_path / "augmentation.png").stat().st_size > 5_000


def test_the_documentation_has_every_preset_and_step() -> None:
    text = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    for name, (steps, images) in PRESETS.items():
        assert f"| `{name}` | {f'`{steps}`' if steps else ''}" in text and images in text
    for name, step in AUGMENT_STEPS.items():
        assert f"| `{name}` |" in text and f"| {step.assumes} |" in text
        assert not step.amount or f"| {step.amount:g} {step.unit} |".replace(" °", "°") in text
