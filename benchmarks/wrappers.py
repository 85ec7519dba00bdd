"""Does `explain` of a compiled or parallel network give the network's own maps? Prints the largest difference.

Each wrapped network has run, so that it is compiled, before it is explained. Random weights.
"""

import time
import warnings
from functools import partial

import click
import numpy as np
import torch
import torchvision
from torch import nn

from wheretolook.cams.explain import explain

NAMES = (
    "resnet18",
    "efficientnet_b0",
    "regnet_y_400mf",
    "mobilenet_v3_small",
    "convnext_tiny",
    "vit_b_16",
    "swin_t",
    "densenet121",
)


def difference(network: nn.Module, wrapped: nn.Module, images: torch.Tensor) -> float:
    """The largest difference of maps and logits, as a part of the largest value of each."""
    with torch.no_grad():
        wrapped(images)
    expected, found = explain(network, images, classes=[1]), explain(wrapped, images, classes=[1])
    if list(expected) != list(found):
        raise RuntimeError(f"other layers: {list(found)} instead of {list(expected)}")
    pairs = [(expected.logits, found.logits), *((expected[pair], found[pair]) for pair in expected)]
    return max(float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-30)) for a, b in pairs)


@click.command()
@click.argument("names", nargs=-1)
@click.option("--inductor", default="resnet18", show_default=True, help="The network compiled by inductor as well.")
def main(names: tuple[str, ...], inductor: str) -> None:
    """Compare for torchvision's NAMES (eight of different families)."""
    warnings.simplefilter("ignore")
    for name in names or NAMES:
        torch.manual_seed(0)
        network = torchvision.models.get_model(name, num_classes=5).eval()
        if name.startswith("vit"):
            torch.nn.init.normal_(network.heads.head.weight, std=0.02)  # torchvision's is zero
        images = torch.randn(1, 3, 224, 224)
        kinds = {"aot_eager": partial(torch.compile, backend="aot_eager"), "DataParallel": nn.DataParallel}
        if name == inductor:
            kinds["inductor"] = torch.compile
        for kind, wrap in kinds.items():
            began = time.perf_counter()
            found = difference(network, wrap(network), images)
            print(f"{name}, {kind}: {found:.1e} ({time.perf_counter() - began:.0f} s)", flush=True)
        torch.compiler.reset()


if __name__ == "__main__":
    main()
