import pytest
import torch
from torch import nn

from wheretolook.networks.layered import hooked


def test_hooks_see_outputs_may_replace_them_and_are_gone_after_an_error():
    network = nn.Sequential(nn.Identity(), nn.ReLU())
    seen = []
    hooks = [(network[0], lambda module, inputs, output: -output), (network[1], lambda *given: seen.append(given[2]))]
    with pytest.raises(ZeroDivisionError), hooked(hooks):
        assert network(torch.tensor([1.0, -2.0])).tolist() == [0, 2]
        assert [each.tolist() for each in seen] == [[0, 2]]
        raise ZeroDivisionError
    assert not any(module._forward_hooks for module in network)


def test_hooks_set_before_one_that_fails_are_gone_too():
    network = nn.Sequential(nn.Identity())

    def hooks():
        yield network[0], print
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), hooked(hooks()):
        pass
    assert not network[0]._forward_hooks
