"""A folded copy gives what the network gave, and the network itself is not touched."""

import copy

import pytest
import torch
from torch import nn

from tests.cams.small import livened, noise, small_network
from wheretolook.cams.fold import PairwiseMaximum, fast_copy, foldable_pairs


def fold(network, kept=(), precision="float32"):
    with torch.no_grad():
        return fast_copy(network, noise(1), kept, precision).network


def test_every_normalisation_behind_a_convolution_is_folded():
    network = small_network()
    folded = fold(network)
    assert not [m for m in folded.modules() if isinstance(m, nn.BatchNorm2d)]
    assert isinstance(folded.stage1[1], nn.Identity)
    with torch.no_grad():
        torch.testing.assert_close(folded(noise()), network(noise()), rtol=0, atol=1e-5)


def test_the_network_is_not_changed():
    network = small_network()
    before = copy.deepcopy(network.state_dict())
    fold(network, precision="bfloat16")
    assert network.state_dict().keys() == before.keys()
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert not [m for m in network.modules() if m._forward_hooks]


def test_a_convolution_that_is_looked_at_stays():
    network = small_network()
    folded = fold(network, kept={"stage2.0"})
    assert isinstance(folded.stage2[1], nn.BatchNorm2d)
    with torch.no_grad():
        torch.testing.assert_close(
            folded.stage2[0](noise(1)[:, :1].expand(-1, 8, -1, -1)),
            network.stage2[0](noise(1)[:, :1].expand(-1, 8, -1, -1)),
        )


class SecondReader(nn.Module):
    """The convolution's output goes through the normalisation and around it."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2)

    def forward(self, x):
        x = self.conv(x)
        return self.head((x + self.norm(x)).mean((2, 3)))


class Twice(nn.Module):
    """One normalisation behind two convolutions."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.norm, self.head = nn.BatchNorm2d(3), nn.Linear(3, 2)

    def forward(self, x):
        return self.head(self.norm(self.second(self.norm(self.first(x)))).mean((2, 3)))


class Unnormalised(nn.Module):
    """Normalisation by the batch itself cannot be folded."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = (
            nn.Conv2d(3, 3, 3),
            nn.BatchNorm2d(3, track_running_stats=False),
            nn.Linear(3, 2),
        )

    def forward(self, x):
        return self.head(self.norm(self.conv(x)).mean((2, 3)))


@pytest.mark.parametrize("kind", [SecondReader, Twice, Unnormalised])
def test_what_cannot_be_folded_is_left_alone(kind):
    torch.manual_seed(0)
    network = livened(kind()).eval() if kind is not Unnormalised else kind().eval()
    folded = fold(network)
    assert [m for m in folded.modules() if isinstance(m, nn.BatchNorm2d)]
    with torch.no_grad():
        torch.testing.assert_close(folded(noise()), network(noise()), rtol=0, atol=1e-5)


def test_a_module_with_two_names_is_left_alone():
    network = small_network()
    network.add_module("again", network.stage1[0])
    network.forward = lambda x: network.head(
        network.flatten(network.pool(network.stage3(network.stage2(network.stage1(x)))))
    )
    with torch.no_grad():
        assert foldable_pairs(network, noise(1)) == [("stage2.0", "stage2.1"), ("stage3.0", "stage3.1")]


def test_weights_are_rounded_once_for_bfloat16_and_normalisation_is_not():
    network = small_network()
    network.stage3[0].register_forward_hook(lambda module, inputs, output: None)  # so that this one is not folded
    folded = fold(network, precision="bfloat16")
    assert folded.stage1[0].weight.dtype is torch.bfloat16
    assert folded.head.weight.dtype is torch.bfloat16
    assert folded.stage3[1].weight.dtype is torch.float32


@pytest.mark.parametrize("size", [8, 9], ids=["even", "odd"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_quicker_maximum_has_the_values_of_the_pooling(size, dtype):
    x = torch.randn(2, 5, size, size + 2).to(dtype).contiguous(memory_format=torch.channels_last)
    x[0, 0, 0, 0], x[1, 4, 3, 3], x[1, 2, 5, 5] = torch.nan, torch.inf, -torch.inf
    found = PairwiseMaximum()(x)
    torch.testing.assert_close(found, nn.MaxPool2d(2)(x), rtol=0, atol=0, equal_nan=True)
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    "pooling",
    [
        nn.MaxPool2d(3),
        nn.MaxPool2d(2, stride=1),
        nn.MaxPool2d(2, padding=1),
        nn.MaxPool2d(2, dilation=2),
        nn.MaxPool2d((2, 1)),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.MaxPool2d(2, return_indices=True),
        nn.AvgPool2d(2),
    ],
    ids=str,
)
def test_another_pooling_is_left_alone(pooling):
    assert not PairwiseMaximum.can_replace(pooling)


@pytest.mark.parametrize("gradients", [False, True])
def test_pooling_is_replaced_where_no_gradient_flows(gradients):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d((2, 2), stride=2), nn.ReLU(inplace=True))
    with torch.no_grad():
        fast = fast_copy(network, noise(1), (), "float32", gradients).network
        assert isinstance(fast[1], nn.MaxPool2d if gradients else PairwiseMaximum)
        assert isinstance(network[1], nn.MaxPool2d)
        # Another memory layout may sum in another order.
        torch.testing.assert_close(fast(noise()), network(noise()), rtol=0, atol=1e-5)
