"""Networks that are not the project's: named, built, run with their own logits, their code checked by its hash."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.networks.made_models import small_card
from wheretolook.base.errors import InputError
from wheretolook.cams.explain import explain
from wheretolook.importing.import_model import import_model
from wheretolook.look.requests import MapRequest, build
from wheretolook.networks.architectures import Architecture, code_of, parse_architecture
from wheretolook.networks.checkpoint import build_network, check_architecture, is_wrapped, load_model, save_model
from wheretolook.networks.layers.layer import wrapped_arguments
from wheretolook.training.objective import Objective

MINE = '''
import torch
from torch import nn
from parts import block

class Mine(nn.Module):
    def __init__(self, num_classes, width=4):
        super().__init__()
        self.early, self.late = block(3, width), block(width, 2 * width)
        self.head = nn.Linear(2 * width, num_classes)

    def forward(self, images):
        return self.head(self.late(self.early(images)).mean((2, 3)))

class ChannelsLast(nn.Module):
    """Its second part gives (N, h, w, C)."""

    def __init__(self, num_classes):
        super().__init__()
        self.stem, self.mix, self.head = nn.Conv2d(3, 8, 4, 4), Mix(), nn.Linear(8, num_classes)

    def forward(self, images):
        return self.head(self.mix(self.stem(images)).mean((1, 2)))

class Mix(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, maps):
        return self.linear(maps.permute(0, 2, 3, 1))

def fails(num_classes):
    raise ValueError("no luck")

def text(num_classes):
    return "no network"
'''
PARTS = """
from torch import nn

def block(before, after):
    return nn.Sequential(nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU(inplace=True))
"""
NAME = "networks/mine.py:Mine"


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks" / "mine.py").write_text(MINE)
    (tmp_path / "networks" / "parts.py").write_text(PARTS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(sys.path))
    yield tmp_path
    for name in [name for name in sys.modules if name == "parts" or name.startswith("wheretolook_code_")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("looknet", Architecture("own", "looknet")),
        ("resnet18", Architecture("torchvision", "resnet18")),
        ("torchvision/maxvit_t", Architecture("torchvision", "maxvit_t")),
        ("timm/resnet18.a1_in1k", Architecture("timm", "resnet18.a1_in1k")),
        (NAME, Architecture("code", "Mine", "networks/mine.py")),
        ("networks.mine:Mine", Architecture("code", "Mine", "networks/mine.py")),
    ],
)
def test_a_name_says_where_a_network_comes_from(text: str, expected: Architecture) -> None:
    assert parse_architecture(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "os:system", "subprocess:run", "networks/none.py:Mine", "../x.py:Mine", "/etc/passwd:x", "networks/mine.py:",
        "timm/hf-hub:a/b", "timm/a/b", "hf/x",
    ],
)  # fmt: skip
def test_what_is_no_code_of_the_repository_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_architecture(text)


def test_code_of_the_pipeline_is_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    for text in (
        "src/wheretolook/base/files.py:replacing",
        "wheretolook.base.files:replacing",
        "stages/train.py:train",
    ):
        with pytest.raises(InputError) as refused:
            parse_architecture(text)
        assert refused.value.found == "a file of the pipeline"


def test_an_own_class_keeps_its_logits_and_is_explained() -> None:
    arguments = wrapped_arguments(NAME, 3, {"width": 6}, (), 32)
    network = build_network(NAME, 3, arguments).eval()
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(network(images), network.body(images))
    assert network.layer_names == ("early", "late") and network.final_head() is network.body.head
    found = explain(network, images, ["cam", "gradcam"])
    pooled = found["cam", "late"].mean((2, 3)) + network.body.head.bias.detach().numpy()
    assert abs(pooled - found.logits).max() < 1e-5


def test_layers_by_hand_may_have_dots() -> None:
    network = build_network(NAME, 3, wrapped_arguments(NAME, 3, {}, ("early.0", "late"), 32))
    assert network.layer_names == ("early_0", "late")
    assert [type(part).__name__ for part in network.layer_parts()["early_0"]] == ["Conv2d"]


def test_channels_behind_are_seen_as_maps_and_gradients_reach_the_layers() -> None:
    name = "networks/mine.py:ChannelsLast"
    network = build_network(name, 2, wrapped_arguments(name, 2, {}, ("stem", "mix"), 32))
    images = torch.rand(2, 3, 32, 32)
    maps, logits = network.trace(images)
    assert {layer: tuple(values.shape) for layer, values in maps.items()} == {"stem": (2, 8, 8, 8), "mix": (2, 8, 8, 8)}
    assert torch.equal(logits, network.body(images))
    assert all(bool(g.any()) for g in torch.autograd.grad(logits[:, 0].sum(), list(maps.values())))


def test_side_heads_are_trained_with_a_loss_on_every_layer() -> None:
    objective = Objective(build_network(NAME, 2, wrapped_arguments(NAME, 2, {}, (), 32)), "every")
    objective(torch.rand(4, 3, 32, 32)).sum().backward()
    assert objective.network.side_heads["early"].weight.grad is not None


def written(folder: Path) -> Path:
    arguments = wrapped_arguments(NAME, 2, {}, (), 32)
    network = build_network(NAME, 2, arguments)
    card = small_card(
        architecture=NAME, arguments=arguments, layers=network.layer_names, trained_heads=("late",), code=code_of(NAME)
    )
    save_model(folder / "mine.safetensors", network, card)
    return folder / "mine.safetensors"


def test_other_code_is_accepted_on_import_and_the_card_says_so(repository: Path) -> None:
    path = written(repository)
    assert import_model(path, "same", repository / "same.safetensors", None, accept_code=True).training == {"seed": 0}
    assert (repository / "same.safetensors").read_bytes() == path.read_bytes()
    (repository / "networks" / "parts.py").write_text(PARTS + "\n# another version\n")
    said: list[str] = []
    with pytest.raises(InputError) as refused:
        import_model(path, "other", repository / "other.safetensors", None)
    assert refused.value.found == "another version of networks/parts.py"
    import_model(path, "other", repository / "other.safetensors", None, said.append, accept_code=True)
    assert len(said) == 1 and "networks/parts.py" in said[0]
    _, card = load_model(repository / "other.safetensors")
    assert card.training["accepted_code"] == ["networks/parts.py"]


def test_the_file_names_its_code_and_is_refused_where_that_changed(repository: Path) -> None:
    path = written(repository)
    network, card = load_model(path, torch.device("cpu"))
    assert sorted(card.code) == ["networks/mine.py", "networks/parts.py"]
    assert network.layer_names == ("early", "late")
    (repository / "networks" / "parts.py").write_text(PARTS + "\n# another version\n")
    with pytest.raises(InputError) as refused:
        load_model(path, torch.device("cpu"))
    assert "networks/parts.py" in refused.value.found and "networks/mine.py" not in refused.value.found
    _, card = load_model(path, torch.device("cpu"), accept_code=True)
    assert card.training["accepted_code"] == ["networks/parts.py"] and card.code == code_of(NAME)
    (repository / "networks" / "mine.py").unlink()
    with pytest.raises(InputError):
        load_model(path, torch.device("cpu"), accept_code=True)


@pytest.mark.parametrize(
    ("name", "keywords", "says"),
    [
        ("networks/mine.py:Nine", {}, "the networks Mine"),
        (NAME, {"depth": 3}, "unexpected keyword argument 'depth'"),
        ("networks/mine.py:fails", {}, "ValueError: no luck"),
        ("networks/mine.py:text", {}, "found str"),
        ("torchvision/maxvit_x", {}, "maxvit_t"),
        (NAME, {"num_classes": 5}, "found 5"),
    ],
)
def test_what_makes_no_network_is_refused(name: str, keywords: dict, says: str) -> None:
    with pytest.raises(InputError) as refused:
        wrapped_arguments(name, 2, keywords, (), 32)
    assert says in str(refused.value)


def test_without_timm_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError) as refused:
        check_architecture("timm/resnet18")
    assert "uv pip install timm" in refused.value.hint


def test_a_family_of_torchvision_keeps_its_layers_under_either_name() -> None:
    assert not is_wrapped("resnet18") and not is_wrapped("torchvision/resnet18") and is_wrapped("torchvision/googlenet")
    assert build_network("torchvision/squeezenet1_1", 2, {}).layer_names[0] == "stage1"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Tokens(before=1)", ["1+4x4"]),
        ("Tokens(before=1, behind=3)", ["1+4x4"]),
        ("Tokens(behind=4)", ["0+4x4"]),
        ("Tokens(amid=2)", ["0:8,10:18+4x4"]),
        ("SequenceFirst()", ["sequence 0+4x4"]),
    ],
)
def test_wrapped_tokens_keep_the_places_that_the_trial_found(repository: Path, name: str, expected: list[str]) -> None:
    (repository / "networks" / "tokens.py").write_text(
        "from tests.networks.layers.places_networks import SequenceFirst, Tokens\n\n\n"
        f"def build(num_classes):\n    return {name}\n"
    )
    code = "networks/tokens.py:build"
    arguments = wrapped_arguments(code, 4, {}, ("norm",), 32)
    assert [layout for _, _, layout, _ in arguments["layers"]] == expected
    network = build_network(code, 4, arguments).eval()
    images = torch.rand(2, 3, 32, 32)
    explanation, own = explain(network, images, ["activation"]), explain(network.body, images, ["activation"], ["norm"])
    assert abs(explanation["activation", "norm"] - own["activation", "norm"]).max() < 1e-5
    maps, logits = network.trace(images)
    assert torch.equal(logits, network.body(images))
    assert torch.autograd.grad(logits[:, 0].sum(), maps["norm"])[0].any()


def test_a_look_may_read_tokens_by_hand(repository: Path) -> None:
    (repository / "networks" / "tokens.py").write_text(
        "from tests.networks.layers.places_networks import Tokens\n\n\n"
        "def build(num_classes):\n    return Tokens(before=1, behind=3)\n"
    )
    code = "networks/tokens.py:build"
    arguments = wrapped_arguments(code, 4, {}, ("norm",), 32)
    network, card = build_network(code, 4, arguments).eval(), small_card(layers=("norm",), input_size=32)
    by_hand = build(network, card, MapRequest(["activation"], grid="2x8", prefix_tokens=4))
    (layer,) = by_hand.layers
    assert (layer.name, layer.places, layer.layout.segments) == ("norm", (2, 8), ((4, 20),))
    with pytest.raises(InputError) as refused:
        build(network, card, MapRequest(["activation"], grid="5x5"))
    assert refused.value.found == "20 tokens" and "4 x 4" in refused.value.hint
    with pytest.raises(InputError) as refused:
        build(network, card, MapRequest(["activation"], prefix_tokens=21))
    assert refused.value.subject == "layer norm"
    with pytest.raises(InputError) as refused:
        build(network, card, MapRequest(["activation"], layout="channels_last"))
    assert refused.value.subject == "layer norm"


def test_layers_that_the_project_defines_take_no_grid_by_hand() -> None:
    network = build_network("looknet", 2, {"width": 4, "depth": 2}).eval()
    with pytest.raises(InputError) as refused:
        build(network, small_card(layers=network.layer_names, input_size=32), MapRequest(grid="4x4"))
    assert refused.value.subject.startswith("--grid")
