"""Logits are found in what a network returns; what is none is named; wrappers and odd states are undone or refused."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.cams.small import noise, small_network
from tests.networks.layers.places_networks import Convolutions
from wheretolook.base.errors import InputError
from wheretolook.cams.explain import explain
from wheretolook.networks.layers import trial
from wheretolook.networks.layers.outputs import NotLogitsWarning

METHODS = ["gradcam", "layercam", "scorecam"]


class Returning(nn.Module):
    """A network whose logits lie in something else."""

    def __init__(self, wrap):
        super().__init__()
        self.body, self.wrap = small_network(), wrap

    def forward(self, x: Tensor) -> object:
        return self.wrap(self.body(x))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda z: (z, z + 1),
        lambda z: {"logits": z, "auxiliary": z + 1},
        lambda z: {"out": z, "features": z[:, :, None]},
        lambda z: SimpleNamespace(logits=z, loss=None),
        lambda z: ({"logits": z}, None),
    ],
    ids=["tuple", "dict of logits", "dict", "output", "nested"],
)
@pytest.mark.parametrize("fast", [False, True])
def test_logits_are_found(wrap, fast):
    found = explain(Returning(wrap).eval(), noise(), METHODS, ["body.stage2"], [1], fast=fast)
    expected = explain(small_network(), noise(), METHODS, ["stage2"], [1], fast=fast)
    np.testing.assert_allclose(found.logits, expected.logits, atol=1e-6)
    for method in METHODS:
        np.testing.assert_allclose(found[method, "body.stage2"], expected[method, "stage2"], atol=1e-6)


@pytest.mark.parametrize("wrap", [lambda z: {"a": z, "b": z}, lambda z: z[:, :, None], lambda z: "text", lambda z: ()])
def test_outputs_without_logits_are_refused(wrap):
    with pytest.raises(InputError) as raised:
        explain(Returning(wrap).eval(), noise())
    assert raised.value.expected == "logits (N, classes)"


@pytest.mark.parametrize("end", [nn.Softmax(1), nn.LogSoftmax(1), nn.Sigmoid()])
def test_a_softmax_at_the_end_is_left_out(end):
    found = explain(Convolutions(end=end).eval(), noise(), ["gradcam"], ["body"])
    expected = explain(Convolutions().eval(), noise(), ["gradcam"], ["body"])
    np.testing.assert_array_equal(found.logits, expected.logits)
    np.testing.assert_allclose(found["gradcam", "body"], expected["gradcam", "body"], atol=1e-7)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda z: z.softmax(1), "a softmax"),
        (lambda z: z.log_softmax(1), "a log-softmax"),
        (lambda z: z.sigmoid(), "a sigmoid"),
        (lambda z: 1 / (1 + (-z).exp()), "a sigmoid"),
        (lambda z: (z / 2).tanh() / 2 + 0.5, "a sigmoid"),
    ],
)
def test_scores_of_a_function_come_with_a_warning(function, name):
    with pytest.warns(NotLogitsWarning, match=name):
        explain(Returning(function).eval(), noise(), ["gradcam"], ["body.stage2"])


def test_logits_that_happen_to_lie_within_0_and_1_are_no_scores():
    network = small_network()
    with torch.no_grad():
        network.head.weight.mul_(1e-3)
        network.head.bias.fill_(0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explain(Returning(lambda z: z / 1.1).eval(), noise(), ["activation"], ["body.stage2"])
        explain(network, noise(), ["activation"], ["stage2"])


def test_zero_logits_are_no_scores():
    network = small_network()
    nn.init.zeros_(network.head.weight)
    nn.init.zeros_(network.head.bias)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explain(network, noise(), ["activation"], ["stage2"])


def test_dropout_that_eval_mode_leaves_on_is_refused():
    with pytest.raises(InputError) as raised:
        explain(Convolutions(drop=True).eval(), noise(), ["gradcam"], ["body"])
    assert raised.value.expected == "the same output for the same image"


def test_a_normalisation_over_the_batch_is_refused_by_name():
    network = Convolutions(norm=nn.BatchNorm2d(8, track_running_stats=False)).eval()
    with pytest.raises(InputError) as raised:
        explain(network, noise(4), ["gradcam"], ["body"])
    assert raised.value.subject == "layer norm"
    assert raised.value.expected == "an output that depends on one image alone"


@pytest.mark.parametrize("layer", ["batch", "1d"])
def test_an_image_beside_others_must_have_the_logits_that_it_has_alone(layer):
    class Centred(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x - x.mean(0) if len(x) > 1 else x

    norm = nn.BatchNorm1d(8, track_running_stats=False) if layer == "1d" else Centred()
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), norm, nn.Linear(8, 4)).eval()
    with pytest.raises(InputError) as raised:
        explain(network, noise(1), ["gradcam"], ["0"])
    assert raised.value.subject == "layer 3"
    assert raised.value.expected == "an output that depends on one image alone"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_quantised_network_is_refused_with_the_way_out():
    try:
        network = torch.ao.quantization.quantize_dynamic(small_network(), {nn.Linear})
    except RuntimeError:
        pytest.skip("no int8 kernels on this processor")
    with pytest.raises(InputError) as raised:
        explain(network, noise(), ["activation"])
    assert raised.value.subject == "layer head"
    assert "before quantisation" in raised.value.hint


def test_a_network_compiled_by_aot_autograd_gives_its_own_maps():
    expected = explain(small_network(), noise(), METHODS[:2])
    found = explain(torch.compile(small_network(), backend="aot_eager"), noise(), METHODS[:2])
    for pair in expected:
        np.testing.assert_array_equal(found[pair], expected[pair])


def compiled_inside(network: nn.Sequential) -> nn.Sequential:
    network.stage2 = torch.compile(network.stage2, backend="eager")
    return network


@pytest.mark.parametrize(
    "wrap",
    [lambda n: torch.compile(n, backend="eager"), nn.DataParallel, compiled_inside],
    ids=["compile", "DataParallel", "a compiled part"],
)
def test_a_wrapped_network_gives_its_own_maps_under_its_own_names(wrap):
    expected = explain(small_network(), noise(), METHODS[:2])
    found = explain(wrap(small_network()), noise(), METHODS[:2])
    assert list(found) == list(expected)
    for pair in expected:
        np.testing.assert_array_equal(found[pair], expected[pair])


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x: Tensor, age: Tensor) -> Tensor:
        return self.fc(x.mean((2, 3))) + age


class ByKeyword(TwoInputs):
    def forward(self, *, pixels: Tensor) -> Tensor:
        return self.fc(pixels.mean((2, 3)))


class Halved(Convolutions):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.body(x.half()).mean((2, 3)))


@pytest.mark.parametrize(
    ("network", "word"),
    [
        (TwoInputs(), "an error"),
        (ByKeyword(), "an error"),
        (nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten(), nn.LazyLinear(2)), "lazy modules"),
        (small_network().to("meta"), "meta device"),
        (Halved().half(), "an error"),
        ("resnet18", "str"),
    ],
    ids=["two inputs", "keyword", "lazy", "meta", "half", "name"],
)
@pytest.mark.filterwarnings("ignore:Lazy modules:UserWarning")
def test_a_network_that_cannot_be_run_is_refused_with_the_way_out(network, word):
    with pytest.raises(InputError) as raised:
        explain(network, noise(), ["gradcam"])
    assert word in raised.value.found
    assert raised.value.hint


def test_an_error_of_the_network_itself_stays_what_it_is():
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return len(3)

    with pytest.raises(TypeError, match="object of type 'int' has no len"):
        explain(Broken(), noise())


def test_the_trial_of_a_network_is_kept_until_its_weights_or_settings_change(monkeypatch):
    tried = []
    whole = trial.try_network
    monkeypatch.setattr(trial, "try_network", lambda *given: tried.append(1) or whole(*given))
    network = small_network()
    for _ in range(3):
        explain(network, noise(), ["cam"])
    assert len(tried) == 1
    explain(network, noise(size=32), ["cam"])
    assert len(tried) == 2
    with torch.no_grad():
        network.head.weight.mul_(2)
    explain(network, noise(size=32), ["cam"])
    assert len(tried) == 3
