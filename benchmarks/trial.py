"""What a network's first `explain` costs before its first map, over one forward pass of 16 images. Random weights.

All of it counts: the trial, the search for default layers and heads, the checks. "doubt" is the same with the trial's
second pass, which most networks do not need.
"""

import copy
import statistics
import time
from collections.abc import Callable
from unittest import mock

import click
import torch
import torchvision
from torch import nn

from wheretolook.cams.engine import build_engine
from wheretolook.networks.layers import trial
from wheretolook.networks.layers.steadiness import random_images

BATCH = 16


def timed(run: Callable[[], object]) -> tuple[float, float]:
    """Wall time and CPU time of a call, seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - cpu


def first_explain(network: nn.Module, size: int, doubt: bool) -> tuple[float, float]:
    """Times of the preparation of a network that was never tried.

    Args:
        network: not changed.
        size: side of the images, pixels.
        doubt: take the trial's second pass in any case.
    """
    fresh = copy.deepcopy(network)
    if not doubt:
        return timed(lambda: build_engine(fresh, None, None, (size, size)))
    # Other default layers at each level of evidence.
    with mock.patch.object(trial, "default_layers", lambda results, modules, level: [level]):
        return timed(lambda: build_engine(fresh, None, None, (size, size)))


@click.command()
@click.argument("names", nargs=-1)
@click.option("--rounds", default=5, show_default=True)
@click.option("--size", default=224, show_default=True, help="Side of the images, pixels.")
@click.option("--threads", default=1, show_default=True)
def main(names: tuple[str, ...], rounds: int, size: int, threads: int) -> None:
    """Compare for torchvision's NAMES (resnet50 and vit_b_16), in turn; print medians."""
    torch.set_num_threads(threads)
    for name in names or ("resnet50", "vit_b_16"):
        torch.manual_seed(0)
        network = torchvision.models.get_model(name).eval().requires_grad_(False)
        if name.startswith("vit"):
            torch.nn.init.normal_(network.heads.head.weight, std=0.02)  # torchvision's is zero
        images = random_images(network, (3, size, size), BATCH)
        passes, plain, doubtful = [], [], []
        with torch.no_grad():
            network(images)
        for _ in range(rounds):
            with torch.no_grad():
                passes.append(timed(lambda network=network, images=images: network(images)))
            plain.append(first_explain(network, size, doubt=False))
            doubtful.append(first_explain(network, size, doubt=True))
        for kind, column in (("wall", 0), ("CPU", 1)):
            one, *others = (statistics.median(times[column] for times in each) for each in (passes, plain, doubtful))
            print(
                f"{name}, {kind}: forward pass of {BATCH} {one:.2f} s; first explain {others[0] / one:.2f} of it, "
                f"in doubt {others[1] / one:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
