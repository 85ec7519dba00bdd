"""Small random networks for tests of maps, foreign to the project: plain modules, as users bring them."""

from collections import OrderedDict

import torch
from torch import Tensor, nn


def small_network(seed: int = 0, stride: int = 2, classes: int = 4, bias: bool = True) -> nn.Sequential:
    """Three convolutions with normalisation and in-place ReLU, then a pooled linear head: layers stage1 to stage3."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        OrderedDict(
            stage1=stage(3, 8, stride),
            stage2=stage(8, 12, stride),
            stage3=stage(12, 16, 1),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            head=nn.Linear(16, classes, bias=bias),
        )
    )
    return livened(network).eval()


def stage(incoming: int, outgoing: int, stride: int) -> nn.Sequential:
    """Convolution, normalisation, in-place ReLU."""
    return nn.Sequential(
        nn.Conv2d(incoming, outgoing, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outgoing),
        nn.ReLU(inplace=True),
    )


def livened(network: nn.Module) -> nn.Module:
    """Normalisation that has seen something: without it, a fresh one is nearly the identity."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0.1, 0.2)
    return network


def noise(count: int = 3, size: int = 16, seed: int = 1) -> Tensor:
    """Images of noise (count, 3, size, size)."""
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed))
