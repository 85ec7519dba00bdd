"""What only a CUDA device can show: `pytest -m gpu`. Where there is no such device, all of it is skipped."""

import copy
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.cams.made import write_model, write_prepared
from tests.cams.small import livened, noise, stage
from tests.networks.small import OPTIONS, prepared
from wheretolook.base.prepared import load_prepared
from wheretolook.cams import compute as parts
from wheretolook.cams.explain import explain
from wheretolook.cams.export import MapOptions, export_maps
from wheretolook.networks.checkpoint import save_model
from wheretolook.networks.runtime.device import deterministic
from wheretolook.networks.runtime.processes import Ranks
from wheretolook.params.train_options import TrainOptions
from wheretolook.training.train_network import train_network

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
CPU, CUDA = torch.device("cpu"), torch.device("cuda")
ROOT = Path(__file__).parents[1]
EXPORT = MapOptions(("cam", "gradcam", "layercam"), None, "float32", 8, random_draws=2)
SCRIPT = """
import os, sys
from dataclasses import replace
from pathlib import Path
import torch
from tests.networks.small import OPTIONS, prepared
from wheretolook.training import train_network as resume
from wheretolook.networks.checkpoint import save_model
from wheretolook.networks.runtime.processes import Ranks, joined_ranks
from wheretolook.training.train_network import train_network
from wheretolook.training.loop import Training

DEVICE, FOLDER, advance = torch.device(sys.argv[1]), Path(sys.argv[2]), Training.advance


class Crowd(Ranks):
    # One process that does all that several do: it shares its gradients, totals, statistics and states with itself.
    alone = False


class Stopped(Exception):
    pass


def stopping(training):
    if training.progress.step == 6:
        raise Stopped
    return advance(training)


with joined_ranks(os.environ, DEVICE) as ranks:
    print("backend", torch.distributed.get_backend())
    crowd = Crowd(ranks.rank, ranks.count, ranks.local_rank, ranks.device)
    for run in ("whole", "resumed"):
        arguments = prepared(), replace(OPTIONS, loss="every"), crowd, "tiny", FOLDER / run, print
        if run == "resumed":
            Training.advance, resume.SECONDS_BETWEEN = stopping, 0.0
            try:
                train_network(*arguments)
            except Stopped:
                Training.advance = advance
        save_model(FOLDER / f"{run}.safetensors", *train_network(*arguments))
"""


@pytest.fixture(autouse=True)
def _as_stages_run() -> Iterator[None]:
    """Within `deterministic`, which is to be entered before the first work on the device."""
    with deterministic():
        yield


def alone(device: torch.device) -> Ranks:
    return Ranks(0, 1, 0, device)


def trained(path: Path, options: TrainOptions, size: int) -> bytes:
    cache = path.with_suffix(".cache")
    save_model(path, *train_network(prepared(size=size), options, alone(CUDA), "tiny", cache, lambda line: None))
    return path.read_bytes()


@pytest.mark.parametrize(
    ("options", "size"),
    [
        (replace(OPTIONS, loss="every"), 16),
        (replace(OPTIONS, loss="every", precision="bfloat16"), 16),
        (replace(OPTIONS, architecture="resnet18", epochs=1), 64),
        (replace(OPTIONS, architecture="squeezenet1_1", epochs=1), 64),
    ],
    ids=["looknet", "bfloat16", "resnet18", "squeezenet"],
)
def test_two_trainings_give_the_same_bytes(options: TrainOptions, size: int, tmp_path: Path):
    assert trained(tmp_path / "first", options, size) == trained(tmp_path / "second", options, size)


def exported(folder: Path, device: torch.device, name: str) -> dict[str, np.ndarray]:
    """Arrays of an export of `folder/one.safetensors`, by file name."""
    if not (folder / "prepared").exists():
        write_model(folder / "one.safetensors", loss="every")
        write_prepared(folder / "prepared", count=20)
    data = load_prepared(folder / "prepared")
    export_maps(folder / "one.safetensors", data, folder / name, EXPORT, alone(device), folder / "cache")
    return {path.name: np.load(path) for path in (folder / name).glob("*.npy")}


def assert_close(found: dict[str, np.ndarray], expected: dict[str, np.ndarray], tolerance: float) -> None:
    """Each array agrees to `tolerance` of its largest value."""
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=0, atol=tolerance * np.abs(values).max(), err_msg=name)


def test_maps_logits_and_random_networks_are_those_of_the_cpu(tmp_path: Path):
    on_cpu = exported(tmp_path, CPU, "cpu")
    assert_close(exported(tmp_path, CUDA, "cuda"), on_cpu, 1e-4)


def test_two_exports_give_the_same_bytes(tmp_path: Path):
    assert_close(exported(tmp_path, CUDA, "first"), exported(tmp_path, CUDA, "second"), 0)


def test_memory_that_is_too_small_halves_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    whole, compute = exported(tmp_path, CUDA, "whole"), parts.compute

    def short_of_memory(engine, images, choose):
        if len(images) > 2:
            torch.empty(1 << 50, dtype=torch.uint8, device=images.device)  # no device has a pebibyte
        return compute(engine, images, choose)

    monkeypatch.setattr(parts, "compute", short_of_memory)
    halved = exported(tmp_path, CUDA, "halved")
    said = capsys.readouterr().err
    assert "out of device memory with 8 images per batch; continuing with 4" in said
    assert "out of device memory with 4 images per batch; continuing with 2" in said
    assert_close(halved, whole, 1e-5)


# Error of the largest value: float32 leaves 3e-7, TF32 5e-4.
LARGEST = 3e-5


def wide_network() -> nn.Sequential:
    """Convolutions wide enough for tensor cores, three deep, then a pooled linear head."""
    torch.manual_seed(0)
    body = nn.Sequential(stage(3, 64, 1), stage(64, 64, 2), stage(64, 64, 1))
    return livened(nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 3))).eval()


def furthest(found: Tensor, exact: Tensor) -> float:
    """The largest error, of the largest value."""
    return float((found.detach().cpu().double() - exact).abs().max() / exact.abs().max())


@pytest.mark.parametrize("fast", [False, True])
def test_maps_are_in_float32_and_not_in_tf32(fast: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    network, images = wide_network(), noise(4, 32)
    methods, layers = ["gradcam", "layercam"], ["0.0", "0.1", "0"]
    exact = copy.deepcopy(network).double()
    with torch.no_grad():
        plainly = furthest(copy.deepcopy(network).to(CUDA)[0](images.to(CUDA)), exact[0](images.double()))
    if plainly < LARGEST:
        pytest.skip("this device takes no convolution in TF32, even where it may")
    expected = explain(exact, images.double(), methods, layers)
    found = explain(network.to(CUDA), images.to(CUDA), methods, layers, fast=fast)
    for pair, maps in expected.items():
        assert furthest(torch.from_numpy(found[pair]), torch.from_numpy(maps).double()) < LARGEST, pair


def test_one_process_under_torchrun_trains_through_nccl(tmp_path: Path):
    (tmp_path / "run.py").write_text(SCRIPT)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "1"]
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*torchrun, str(tmp_path / "run.py"), "cuda", str(tmp_path)],
        env=environment,
        cwd=ROOT,
        check=True,
        timeout=900,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert "backend nccl" in done.stdout
    assert "resumes after step 6 of 8" in done.stdout
    assert (tmp_path / "resumed.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
