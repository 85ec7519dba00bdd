"""What LeGrad and Grad-CAM of a ViT-Ti/16 cost, over one forward and one backward pass. Random weights.

    python benchmarks/legrad.py [--batch 8] [--rounds 5]

Grad-CAM is of every block but the last, whose image tokens are not read out.
"""

import click
import torch
from engine_bars import in_turn, print_table, ratio
from torchvision.models import VisionTransformer

from wheretolook.cams.batching import compute_batched
from wheretolook.cams.engine import build_engine


@click.command()
@click.option("--batch", default=8, show_default=True)
@click.option("--rounds", default=5, show_default=True)
def main(batch: int, rounds: int) -> None:
    """Print medians of the CPU time of one thread, in turn; one class per image."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = VisionTransformer(224, 16, 12, 3, 192, 768).eval().requires_grad_(False)
    torch.nn.init.normal_(network.heads.head.weight, std=0.02)  # torchvision's is zero
    images = torch.randn(batch, 3, 224, 224)
    targets = torch.arange(batch)[:, None]
    blocks = [f"encoder.layers.encoder_layer_{number}" for number in range(11)]
    engines = {
        "legrad and gradcam": build_engine(network, ["legrad", "gradcam"], blocks, (224, 224)),
        "gradcam": build_engine(network, ["gradcam"], blocks, (224, 224)),
    }

    def passes() -> None:
        inputs = images.clone().requires_grad_()
        torch.autograd.grad(network(inputs).gather(1, targets).sum(), inputs)

    works = {"forward and backward": passes}
    for name, engine in engines.items():
        works[name] = lambda engine=engine: compute_batched(
            engine, images, slice(0, batch), lambda logits, rows: targets
        )
    seconds = in_turn(works, rounds, clock="CPU")
    title = "ViT-Ti/16, one class"
    both = ratio(f"{title}: legrad and gradcam", seconds, "legrad and gradcam", "forward and backward", 1.5, False)
    print_table([both, ratio(f"{title}: gradcam", seconds, "gradcam", "forward and backward", None)])


if __name__ == "__main__":
    main()
