import pytest
import torch
from torch import Tensor, nn

from wheretolook.networks.layered import hooked
from wheretolook.networks.module_network import LayerSpec, ModuleNetwork


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


@pytest.mark.parametrize(("layout", "prefix"), [("0+6x6", 0), ("1+6x6", 1), ("sequence 1+6x6", 1)])
@pytest.mark.parametrize("transposed", [False, True])
def test_what_follows_a_layer_of_tokens_gets_them_in_their_own_order_of_memory(
    layout: str, prefix: int, transposed: bool
) -> None:
    class Tokens(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            flow = images.flatten(2)[:, :, : 36 + prefix]  # (N, C, T)
            order = (2, 0, 1) if layout.startswith("sequence") else (0, 2, 1)
            return flow.permute(order) if transposed else flow.permute(order).contiguous()

    class Mean(nn.Module):
        def forward(self, tokens: Tensor) -> Tensor:
            seen.append(tokens)
            return tokens.mean(0 if layout.startswith("sequence") else 1)

    seen: list[Tensor] = []
    body = nn.Sequential(Tokens(), Mean(), nn.Linear(8, 3))
    network = ModuleNetwork(body, [LayerSpec("0", 8, layout, False)], "", 3)
    images = torch.rand(2, 8, 7, 7)
    assert torch.equal(body(images), network(images))
    own, rejoined = seen
    assert torch.equal(own, rejoined)
    order = [sorted(range(3), key=lambda dimension, of=of: -of.stride(dimension)) for of in (own, rejoined)]
    assert order[0] == order[1]
