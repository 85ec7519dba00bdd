"""All tests of a model that run the network."""

from pathlib import Path
from typing import Any

from wheretolook.analysis.explained import check_data
from wheretolook.analysis.probing.cues import model_cues
from wheretolook.analysis.probing.effects import probed_images
from wheretolook.analysis.probing.model_curves import model_curves
from wheretolook.analysis.probing.model_faithfulness import model_faithfulness
from wheretolook.analysis.probing.necessity import model_necessity
from wheretolook.analysis.probing.occlusion import model_occlusion
from wheretolook.analysis.probing.sanity import model_sanity
from wheretolook.analysis.probing.stability import model_stability
from wheretolook.base.files import sha256_of
from wheretolook.base.prepared import Prepared
from wheretolook.mapstore.store import Maps
from wheretolook.networks.card import Card
from wheretolook.networks.checkpoint import Network, load_model
from wheretolook.networks.runtime.device import choose_device, deterministic
from wheretolook.networks.runtime.resumable import Piece, kept_pieces

# What dvc.yaml lists for the stage: an edit elsewhere does not discard its unfinished work.
CODE = ("analysis", "base", "cams", "mapstore", "networks", "params/score_options.py")
CHANGED = ("necessity", "sufficiency", "look_alikes", "global_cues", "occlusion")


def probe_model(
    model: Path,
    maps: Maps,
    prepared: Prepared,
    device: str,
    faithfulness_images: int,
    curve_steps: int,
    sanity_draws: int,
    stability_images: int,
    resamples: int,
    seed: int,
    cache: Path,
) -> dict[str, Any]:
    """Load a model once and test it and its maps: the keys of `docs/results.md` that take running the network.

    Those are `faithfulness`, `curves`, `sanity` and `stability`, and `necessity`, `sufficiency`, `look_alikes`,
    `global_cues` and `occlusion`, which are measured over the images of `faithfulness`.

    Args:
        model: the model file.
        maps: its maps.
        prepared: the data.
        device: "" for the best there is, or a device's name.
        faithfulness_images: test images from which pixels are taken out; 0: none.
        curve_steps: of the classic curves, over the same images; 0: none.
        sanity_draws: networks whose weights are randomised; 0: none.
        stability_images: test images that are changed a little; 0: none.
        resamples: of each interval.
        seed: of all that is drawn at random.
        cache: the folder for what is done of a run that isn't: a killed one goes on.

    Raises:
        InputError: maps or model don't belong to the data, no such device, or an interruption.
    """
    requested = {
        "faithfulness": faithfulness_images > 0,
        "curves": faithfulness_images > 0 and curve_steps > 0,
        "sanity": sanity_draws > 0,
        "stability": stability_images > 0,
        **dict.fromkeys(CHANGED, faithfulness_images > 0),
    }
    found: dict[str, Any] = dict.fromkeys(requested)
    if not any(requested.values()):
        return found
    check_data(maps, prepared)
    arguments = [faithfulness_images, curve_steps, sanity_draws, stability_images, resamples, seed]
    data = {"data": prepared.sha256, "masks": prepared.masks_sha256}  # masks: evidence is one way of removal
    depends_on = {"model": sha256_of(model), "maps": maps.manifest, "arguments": arguments} | data
    chosen = choose_device(device)
    with deterministic(), kept_pieces(cache, model.stem, depends_on, chosen, CODE) as piece:
        network, card = load_model(model, chosen)
        model_and_maps = network, card, maps, prepared
        if requested["faithfulness"]:
            found["faithfulness"] = model_faithfulness(*model_and_maps, faithfulness_images, resamples, seed, piece)
            found |= changed(network, card, maps, prepared, faithfulness_images, resamples, seed, piece)
        if requested["curves"]:
            found["curves"] = model_curves(*model_and_maps, faithfulness_images, curve_steps, seed, piece)
        if requested["sanity"]:
            found["sanity"] = model_sanity(*model_and_maps, sanity_draws, seed, piece)
        if requested["stability"]:
            found["stability"] = model_stability(*model_and_maps, stability_images, resamples, seed, piece)
    return found


def changed(
    network: Network,
    card: Card,
    maps: Maps,
    prepared: Prepared,
    images: int,
    resamples: int,
    seed: int,
    piece: Piece,
) -> dict[str, Any]:
    """What changes of images and of their regions cost each class: the keys of CHANGED; None without test images."""
    probed = probed_images(network, card, prepared, images, seed)
    if probed is None:
        return dict.fromkeys(CHANGED)
    own = resamples, seed, piece
    return model_necessity(probed, maps, prepared.labels, *own) | {
        "global_cues": model_cues(probed, *own),
        "occlusion": model_occlusion(probed, maps, prepared.labels, *own),
    }
