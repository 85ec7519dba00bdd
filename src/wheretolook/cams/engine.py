"""A network, tried once, and what maps are to be taken of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from wheretolook.cams.layers import Layer, probe_layers
from wheretolook.cams.methods.method import Method, Needs
from wheretolook.cams.registry import find_method
from wheretolook.cams.steady import PRECISIONS
from wheretolook.data.refusal import Refusal


@dataclass(frozen=True)
class Engine:
    """A network, and which maps to take of it.

    Attributes:
        network: run in evaluation mode, left as found.
        layers: first to last.
        pairs: each (method, layer) to give.
        precision: "float32" or "bfloat16", of the forward and backward passes; maps are float32 in both.
    """

    network: nn.Module
    layers: tuple[Layer, ...]
    pairs: tuple[tuple[Method, Layer], ...]
    precision: str

    @property
    def backward(self) -> bool:
        """Whether backward passes are needed: no, where each gradient is known from a linear head."""
        return any(method.needs is Needs.GRADIENTS and not layer.linear for method, layer in self.pairs)


def build_engine(
    network: nn.Module,
    methods: Sequence[str],
    layers: Sequence[str] | None,
    size: tuple[int, int],
    precision: str = "float32",
    trained_heads: Sequence[str] | None = None,
) -> Engine:
    """Try the network once on random images, and settle what is to be taken of it.

    Args:
        network: one of the project's, or any module that gives logits (N, K) for images (N, 3, H, W).
        methods: names as in the registry. `cam` is taken of those layers that have a trained pooled linear head.
        layers: names; None: all.
        size: (H, W) of the images.
        precision: "float32" or "bfloat16".
        trained_heads: of a network of the project; None: heads that are not all zero.

    Raises:
        Refusal: an unknown method, layer or precision; `cam` of layers of which none has a pooled linear head.
    """
    if precision not in PRECISIONS:
        raise Refusal(f'precision "{precision}": expected one of {", ".join(PRECISIONS)}')
    chosen = [find_method(name) for name in dict.fromkeys(methods)]
    probed = probe_layers(network, layers, size, trained_heads)
    pairs = [(m, y) for m in chosen for y in probed if m.needs is not Needs.CLASS_WEIGHTS or y.head is not None]
    for method in chosen:
        if not any(m is method for m, _ in pairs):
            raise Refusal(
                f"{method.name}: expected a layer with a trained linear head on its pooled feature maps, found none in "
                f"{', '.join(layer.name for layer in probed)}; name another layer, or a method like gradcam"
            )
    return Engine(network, tuple(probed), tuple(pairs), precision)
