"""What only running the network can tell: faithfulness and sanity of its primary maps."""

from pathlib import Path
from typing import Any

from wheretolook.analysis.cascade import model_sanity
from wheretolook.analysis.perturb import model_faithfulness
from wheretolook.analysis.provenance import check_data
from wheretolook.cams.store import Maps
from wheretolook.data.prepared import Prepared
from wheretolook.models.checkpoint import load_model
from wheretolook.models.device import choose_device


def probe_model(
    model: Path,
    maps: Maps,
    prepared: Prepared,
    device: str,
    faithfulness_images: int,
    sanity_draws: int,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """Load a model once and test its maps: keys `faithfulness` and `sanity` of `docs/results.md`.

    Args:
        model: the model file.
        maps: its maps.
        prepared: the data.
        device: "" for the best there is, or a device's name.
        faithfulness_images: test images from which pixels are taken out; 0: none.
        sanity_draws: networks whose weights are randomised; 0: none.
        resamples: of each interval.
        seed: of all that is drawn at random.

    Raises:
        Refusal: maps or model don't belong to the data, or no such device.
    """
    if not (faithfulness_images or sanity_draws):
        return {"faithfulness": None, "sanity": None}
    check_data(maps, prepared)
    network, card = load_model(model, choose_device(device))
    return {
        "faithfulness": model_faithfulness(network, card, maps, prepared, faithfulness_images, resamples, seed)
        if faithfulness_images
        else None,
        "sanity": model_sanity(network, card, maps, prepared, sanity_draws, seed) if sanity_draws else None,
    }
