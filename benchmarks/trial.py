"""What the trial of a network costs, over one forward pass of a batch of 16 images. Random weights."""

import statistics
import time

import click
import torch
import torchvision

from wheretolook.networks.layers.steadiness import random_images, steady
from wheretolook.networks.layers.trial import try_network

BATCH = 16


@click.command()
@click.argument("names", nargs=-1)
@click.option("--rounds", default=5, show_default=True)
@click.option("--size", default=224, show_default=True, help="Side of the images, pixels.")
def main(names: tuple[str, ...], rounds: int, size: int) -> None:
    """Compare for torchvision's NAMES (resnet50 and vit_b_16), in turn; print medians of CPU time of one thread."""
    torch.set_num_threads(1)
    for name in names or ("resnet50", "vit_b_16"):
        torch.manual_seed(0)
        network = torchvision.models.get_model(name).eval()
        if name.startswith("vit"):
            torch.nn.init.normal_(network.heads.head.weight, std=0.02)  # torchvision's is zero
        passes, trials = [], []
        with steady(network, "float32", gradients=False):
            images = random_images(network, (3, size, size), BATCH)
            network(images[:1])
            for _ in range(rounds):
                began = time.process_time()
                network(images)
                passes.append(time.process_time() - began)
                began = time.process_time()
                try_network(network, (3, size, size))
                trials.append(time.process_time() - began)
        one, trial = statistics.median(passes), statistics.median(trials)
        print(f"{name}: forward pass of {BATCH} {one:.2f} s, trial {trial:.2f} s, ratio {trial / one:.2f}", flush=True)


if __name__ == "__main__":
    main()
