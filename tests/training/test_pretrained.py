"""Training from pretrained weights: by torchvision's name (a file of the same form, served on loopback, replaces
theirs), by timm's tag, of a folder of transformers, and from a local file."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from torchvision import models

from tests.networks.small import ALONE, OPTIONS, prepared, train
from wheretolook.base.errors import InputError
from wheretolook.cams.random_weights import pretrained_backbone, random_maps
from wheretolook.networks import pretrained
from wheretolook.networks.card import Card
from wheretolook.networks.checkpoint import build_network, save_model
from wheretolook.networks.pretrained import find_pretrained, load_pretrained
from wheretolook.networks.runtime.processes import Ranks
from wheretolook.training.loop import Training

ENTRY = models.ResNet18_Weights.IMAGENET1K_V1
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder, and says nothing."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The URL of a resnet18 for 1000 classes, named as torchvision names its files, and its path."""
    folder = tmp_path_factory.mktemp("served")
    torch.manual_seed(5)
    torch.save(models.resnet18().state_dict(), folder / "new")
    digest = hashlib.sha256((folder / "new").read_bytes()).hexdigest()
    path = (folder / "new").rename(folder / f"resnet18-{digest[:8]}.pth")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{path.name}", path
    server.shutdown()
    server.server_close()


@pytest.fixture
def hub(served: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where torch.hub keeps files, still empty; torchvision's entry leads to the served file."""
    monkeypatch.setattr(ENTRY.value, "url", served[0])
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    return tmp_path / "hub/checkpoints"


def test_all_but_the_classifier_is_the_files(served: tuple[str, Path], hub: Path):
    torch.manual_seed(0)
    network = build_network("resnet18", 3, {})
    fresh = {name: tensor.clone() for name, tensor in network.body.state_dict().items()}
    assert load_pretrained(network, "resnet18", "IMAGENET1K_V1", 3) == (MEAN, STD)
    expected = torch.load(served[1], weights_only=True)
    for name, tensor in network.body.state_dict().items():
        assert torch.equal(tensor, fresh[name] if name.startswith("fc.") else expected[name]), name
    assert [path.name for path in hub.iterdir()] == [served[1].name]


def test_a_training_starts_from_them_and_says_so(hub: Path):
    options = replace(OPTIONS, architecture="resnet18", weights="IMAGENET1K_V1", learning_rate=1e-9, epochs=1)
    network, card = train(prepared(count=16, size=32), options)
    expected = torch.load(next(hub.iterdir()), weights_only=True)
    torch.testing.assert_close(network.body.conv1.weight, expected["conv1.weight"])
    assert (card.mean, card.std, card.training["weights"]) == (MEAN, STD, "IMAGENET1K_V1")


def test_only_the_first_process_of_a_machine_fetches(served: tuple[str, Path], hub: Path, monkeypatch):
    waits = []
    monkeypatch.setattr(Ranks, "wait", lambda ranks: waits.append(ranks.rank))
    monkeypatch.setattr(pretrained, "_fetch", lambda url, progress: waits.append("fetched"))
    hub.mkdir(parents=True)
    (hub / served[1].name).write_bytes(served[1].read_bytes())
    for ranks in (Ranks(1, 2, 1, ALONE.device), Ranks(2, 4, 0, ALONE.device)):
        monkeypatch.setattr(Ranks, "share", lambda ranks, rows: rows)
        options = replace(OPTIONS, architecture="resnet18", weights="IMAGENET1K_V1")
        with suppress(ValueError):  # processes without a group: the training cannot begin
            Training(prepared(count=16, size=64), options, ranks)
    assert waits == [1, "fetched", "fetched", 2]


def test_a_server_that_stops_responding_times_out(hub: Path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/resnet18-01234567.pth"
        monkeypatch.setattr(ENTRY.value, "url", url)
        monkeypatch.setattr(pretrained, "TIMEOUT", 0.2)
        with pytest.raises(InputError, match=r"expected a download of pretrained weights, found an error \(timed out"):
            load_pretrained(build_network("resnet18", 2, {}), "resnet18", "IMAGENET1K_V1", 2)
    assert socket.getdefaulttimeout() is None


def test_the_classifier_of_a_squeezenet_is_its_last_convolution(monkeypatch):
    with torch.device("meta"):
        network, whole = build_network("squeezenet1_1", 2, {}), models.squeezenet1_1()
    monkeypatch.setattr(pretrained, "_fetch", lambda url, progress: None)
    monkeypatch.setattr(models, "get_model", lambda architecture, weights: whole)
    assert load_pretrained(network, "squeezenet1_1", "IMAGENET1K_V1", 2) == (MEAN, STD)


def test_without_a_network_the_message_says_where_the_file_may_be_put(hub: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ENTRY.value, "url", "http://127.0.0.1:9/resnet18-01234567.pth")
    with pytest.raises(
        InputError, match=r"expected a download of pretrained weights, found .*copy the file to .*01234567.pth"
    ):
        load_pretrained(build_network("resnet18", 2, {}), "resnet18", "IMAGENET1K_V1", 2)
    assert not list(hub.iterdir())


def test_a_file_that_is_not_what_its_name_says_is_refused(served: tuple[str, Path], hub: Path):
    hub.mkdir(parents=True)
    (hub / served[1].name).write_bytes(b"else")
    with pytest.raises(InputError, match=r"expected a SHA-256 that begins with .*, found another file\. Remove it"):
        load_pretrained(build_network("resnet18", 2, {}), "resnet18", "IMAGENET1K_V1", 2)


@pytest.mark.parametrize(
    ("architecture", "weights", "message"),
    [
        ("resnet18", "DEFAULT", r"resnet18: expected weights random, IMAGENET1K_V1, found \"DEFAULT\""),
        ("vit_b_16", "V9", r"random, IMAGENET1K_V1, IMAGENET1K_SWAG_E2E_V1, IMAGENET1K_SWAG_LINEAR_V1, found"),
        ("looknet", "IMAGENET1K_V1", r"looknet: expected `weights: random`, or a file"),
        ("looknet", "weights/none.pt", r"weights 'weights/none.pt': expected a file, found no such file"),
        ("resnet19", "IMAGENET1K_V1", r'architecture "resnet19": expected'),
    ],
)
def test_a_wrong_name_is_refused(architecture: str, weights: str, message: str):
    with pytest.raises(InputError, match=message):
        find_pretrained(architecture, weights)


def test_weights_of_another_size_are_refused(monkeypatch: pytest.MonkeyPatch):
    with torch.device("meta"):
        network, whole = build_network("vit_b_32", 2, {"image_size": 64}), models.vit_b_32()
    monkeypatch.setattr("wheretolook.networks.pretrained._fetch", lambda url, progress: None)
    monkeypatch.setattr(models, "get_model", lambda architecture, weights: whole)
    with pytest.raises(
        InputError, match=r"pos_embedding of shape \(1, 50, 768\).*found \(1, 5, 768\).*prepare.size: 224"
    ):
        load_pretrained(network, "vit_b_32", "IMAGENET1K_V1", 2)


def pretrained_file(path: Path, classes: int = 5) -> dict[str, torch.Tensor]:
    """A checkpoint of a looknet for other classes, as another program saves it; returns its tensors."""
    torch.manual_seed(5)
    state = build_network("looknet", classes, {"width": 4, "depth": 2}).state_dict()
    torch.save({"model": {f"module.{name}": tensor for name, tensor in state.items()}, "epoch": 3}, path)
    return state


def from_file(path: Path, **options: object) -> tuple[torch.nn.Module, Card]:
    return train(prepared(), replace(OPTIONS, weights=str(path), epochs=1, **options))


def test_weights_from_a_file_start_the_backbone_and_leave_the_head(tmp_path: Path) -> None:
    state = pretrained_file(tmp_path / "best.pt")
    network, card = from_file(tmp_path / "best.pt", learning_rate=1e-9, head_learning_rate=0.01)
    torch.testing.assert_close(network.blocks.block1[0].weight, state["blocks.block1.0.weight"])
    fresh = train(prepared(), replace(OPTIONS, epochs=1, learning_rate=1e-9))[0]
    assert not torch.allclose(network.classifier[0].weight, fresh.classifier[0].weight, atol=1e-4)
    assert (card.mean, card.std) == (MEAN, STD)
    assert card.training["weights_sha256"] == hashlib.sha256((tmp_path / "best.pt").read_bytes()).hexdigest()


def test_a_frozen_backbone_keeps_every_bit_and_its_heads_learn(tmp_path: Path) -> None:
    state = pretrained_file(tmp_path / "best.pt")
    network, card = from_file(tmp_path / "best.pt", freeze="backbone", loss="every", mean=("0.5",) * 3)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, state[name]) is not name.startswith(("side_heads.", "classifier.")), name
    assert (card.mean, card.std, card.training["freeze"]) == ((0.5, 0.5, 0.5), STD, "backbone")


def test_a_model_file_of_this_project_gives_its_own_normalisation(tmp_path: Path) -> None:
    network, card = train(prepared(), replace(OPTIONS, epochs=1))
    save_model(tmp_path / "first.safetensors", network, card)
    again, of_file = from_file(tmp_path / "first.safetensors", learning_rate=1e-9)
    assert (of_file.mean, of_file.std) == (card.mean, card.std)
    torch.testing.assert_close(again.classifier[0].weight, network.classifier[0].weight)


def test_weights_that_lack_a_tensor_are_refused_by_its_name(tmp_path: Path) -> None:
    state = pretrained_file(tmp_path / "best.pt")
    del state["blocks.block2.0.weight"]
    torch.save(state, tmp_path / "best.pt")
    with pytest.raises(InputError) as caught:
        from_file(tmp_path / "best.pt")
    assert caught.value.expected == "a tensor blocks.block2.0.weight among the weights"


def test_the_random_baseline_is_the_pretrained_backbone_with_a_random_head(tmp_path: Path) -> None:
    state = pretrained_file(tmp_path / "best.pt")
    network, card = from_file(tmp_path / "best.pt", learning_rate=0.05)
    backbone = pretrained_backbone(card, network)
    assert set(backbone) == {name for name in state if name.startswith("blocks.")}
    assert all(torch.equal(tensor, state[name]) for name, tensor in backbone.items())
    assert pretrained_backbone(replace(card, training={"weights": "random"}), network) is None
    frozen = replace(card, training=card.training | {"freeze": "backbone"})
    assert torch.equal(pretrained_backbone(frozen, network)["blocks.block1.0.weight"], network.blocks.block1[0].weight)
    data = prepared()
    first, second = random_maps(card, data, data.rows("val"), 2, 8, ALONE.device, backbone)
    assert first.shape == (10, 4, 4) and not (first == second).all()
    pretrained_file(tmp_path / "best.pt", classes=3)
    with pytest.raises(InputError) as caught:
        pretrained_backbone(card, network)
    assert caught.value.hint == "restore it, or set `export.random_draws: 0`"


def test_a_tag_of_timm_is_loaded_with_its_normalisation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(5)
    whole = timm.create_model("test_resnet", num_classes=7)
    monkeypatch.setattr(timm, "create_model", lambda name, **options: timm_made(timm, whole, name, options))
    network = build_network("timm/test_resnet", 2, WRAPPED)
    assert load_pretrained(network, "timm/test_resnet", "r160_in1k", 2) == ((0.5, 0.5, 0.5),) * 2
    for name, tensor in network.body.state_dict().items():
        assert torch.equal(tensor, whole.state_dict()[name]) is not name.startswith("fc."), name
    with pytest.raises(InputError) as caught:
        find_pretrained("timm/test_resnet", "a1_in1k")
    assert caught.value.expected == "weights random, r160_in1k, or a file"


WRAPPED = {"keywords": {}, "layers": [["layer4", 64, "first", False]], "classifier": ""}


def timm_made(timm: object, whole: torch.nn.Module, name: str, options: dict) -> torch.nn.Module:
    """What timm makes, without a download: the weights of `whole`, where pretrained ones are asked for."""
    made = timm.models.create_model(name, pretrained=False, num_classes=options.get("num_classes", 7))
    if options["pretrained"]:
        assert name == "test_resnet.r160_in1k"
        kept = {key: tensor for key, tensor in whole.state_dict().items() if not key.startswith("fc.")}
        made.load_state_dict(kept, strict=False)
    return made


def test_the_weights_of_a_folder_of_transformers_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    transformers = pytest.importorskip("transformers")
    monkeypatch.chdir(tmp_path)
    sizes = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "num_labels": 7}
    whole = transformers.ResNetForImageClassification(transformers.ResNetConfig(**sizes))
    whole.save_pretrained("tiny")
    Path("tiny/preprocessor_config.json").write_text('{"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}')
    network = build_network("hf/tiny", 2, WRAPPED | {"layers": [["resnet.encoder", 16, "first", False]]})
    found = load_pretrained(network, "hf/tiny", "pretrained", 2)
    assert found == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    for name, tensor in network.body.state_dict().items():
        assert torch.equal(tensor, whole.state_dict()[name]) is not name.startswith("classifier."), name
