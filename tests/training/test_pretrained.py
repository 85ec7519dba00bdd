"""Training from torchvision's weights: a file of the same form, served on loopback, replaces theirs."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from torchvision import models

from tests.networks.small import ALONE, OPTIONS, prepared, train
from wheretolook.base.errors import InputError
from wheretolook.networks.checkpoint import build_network, find_pretrained
from wheretolook.networks.runtime.processes import Ranks
from wheretolook.training import start as pretrained
from wheretolook.training.start import load_pretrained

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
    assert load_pretrained(network, "resnet18", "IMAGENET1K_V1", ALONE) == (MEAN, STD)
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
        load_pretrained(build_network("resnet18", 2, {}), "resnet18", "IMAGENET1K_V1", ranks)
    assert waits == [1, "fetched", 2]


def test_a_server_that_stops_responding_times_out(hub: Path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/resnet18-01234567.pth"
        monkeypatch.setattr(ENTRY.value, "url", url)
        monkeypatch.setattr(pretrained, "TIMEOUT", 0.2)
        with pytest.raises(InputError, match=r"expected a download of pretrained weights, found an error \(timed out"):
            load_pretrained(build_network("resnet18", 2, {}), "resnet18", "IMAGENET1K_V1", ALONE)
    assert socket.getdefaulttimeout() is None


def test_the_classifier_of_a_squeezenet_is_its_last_convolution(monkeypatch):
    with torch.device("meta"):
        network, whole = build_network("squeezenet1_1", 2, {}), models.squeezenet1_1()
    monkeypatch.setattr(pretrained, "_fetch", lambda url, progress: None)
    monkeypatch.setattr(models, "get_model", lambda architecture, weights: whole)
    assert load_pretrained(network, "squeezenet1_1", "IMAGENET1K_V1", ALONE) == (MEAN, STD)


def test_without_a_network_the_message_says_where_the_file_may_be_put(hub: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ENTRY.value, "url", "http://127.0.0.1:9/resnet18-01234567.pth")
    with pytest.raises(
        InputError, match=r"expected a download of pretrained weights, found .*copy the file to .*01234567.pth"
    ):
        load_pretrained(build_network("resnet18", 2, {}), "resnet18", "IMAGENET1K_V1", ALONE)
    assert not list(hub.iterdir())


def test_a_file_that_is_not_what_its_name_says_is_refused(served: tuple[str, Path], hub: Path):
    hub.mkdir(parents=True)
    (hub / served[1].name).write_bytes(b"else")
    with pytest.raises(InputError, match=r"expected a SHA-256 that begins with .*, found another file\. Remove it"):
        load_pretrained(build_network("resnet18", 2, {}), "resnet18", "IMAGENET1K_V1", ALONE)


@pytest.mark.parametrize(
    ("architecture", "weights", "message"),
    [
        ("resnet18", "DEFAULT", r"resnet18: expected weights random, IMAGENET1K_V1, found \"DEFAULT\""),
        ("vit_b_16", "V9", r"random, IMAGENET1K_V1, IMAGENET1K_SWAG_E2E_V1, IMAGENET1K_SWAG_LINEAR_V1, found"),
        ("looknet", "IMAGENET1K_V1", r"looknet: expected `weights: random`"),
        ("resnet19", "IMAGENET1K_V1", r'architecture "resnet19": expected'),
    ],
)
def test_a_wrong_name_is_refused(architecture: str, weights: str, message: str):
    with pytest.raises(InputError, match=message):
        find_pretrained(architecture, weights)


def test_weights_of_another_size_are_refused(monkeypatch: pytest.MonkeyPatch):
    with torch.device("meta"):
        network, whole = build_network("vit_b_32", 2, {"image_size": 64}), models.vit_b_32()
    monkeypatch.setattr("wheretolook.training.start._fetch", lambda url, progress: None)
    monkeypatch.setattr(models, "get_model", lambda architecture, weights: whole)
    with pytest.raises(
        InputError, match=r"pos_embedding of shape \(1, 50, 768\).*found \(1, 5, 768\).*prepare.size: 224"
    ):
        load_pretrained(network, "vit_b_32", "IMAGENET1K_V1", ALONE)
