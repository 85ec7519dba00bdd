"""Parameters of `score`."""

from pydantic import Field

from wheretolook.base.terminal.section import options


@options
class ScoreOptions:
    """What is measured of one model."""

    faithfulness_images: int = Field(
        description="Test images, balanced over classes, from which regions are removed to test the maps; 0 for none.",
        ge=0,
    )
    curve_steps: int = Field(
        description="Steps of the insertion and deletion curves, with average drop and increase; 0 for none.", ge=0
    )
    sanity_draws: int = Field(
        description="Draws of the sanity check by weight randomisation (cascading from the top layer); at least 10, "
        "or 0 for none.",
        ge=0,
    )
    stability_images: int = Field(
        description="Test images, balanced over classes, that are shifted, flipped, compressed and so on, to test how "
        "far their maps move; 0 for none. Intervals take 20 images of a class.",
        ge=0,
    )
    resamples: int = Field(description="Bootstrap resamples of each confidence interval.", ge=199)
    seed: int = Field(description="Random seed of resampling, randomisation and removal.", ge=0)
