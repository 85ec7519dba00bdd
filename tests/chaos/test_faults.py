"""A disk, a memory or a GPU that fails: every stage says so, and leaves nothing half-written."""

import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
import torch

from tests.chaos import faults
from tests.chaos.in_process import OUTPUTS, World, finished_world
from tests.pipeline.code_dependencies import ROOT

FAULTS = {
    "short files": (faults.short_files, "larger than the file size limit: needed more"),
    "full disk": (faults.full_disk, "no space left on the disk: needed more than is free,"),
    "read-only disk": (faults.read_only, "the disk is read-only; mount it for writing"),
    "no permission": (faults.not_permitted, "permission denied (Permission denied); change its mode or owner"),
    "rename": (faults.failing_rename, "no space left on the disk"),
    "fsync": (faults.failing_sync, "the disk failed (input/output error)"),
    "descriptors": (faults.no_descriptors, "too many open files; raise the limit (`ulimit -n"),
}
# The images of a source are made anew where they are lost: none is synced.
CASES = [(stage, fault) for stage in OUTPUTS for fault in FAULTS if (stage, fault) != ("fetch", "fsync")]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return finished_world(tmp_path_factory.mktemp("faults") / "root")


@pytest.fixture
def ready(world: World):
    """The world before a stage, put back afterwards."""
    yield world
    world.put_back()


def check_nothing_half_written(world: World, stage: str) -> None:
    found, whole = world.digests(world.root), world.digests(world.kept)
    assert {path: digest for path, digest in found.items() if whole.get(path) != digest} == {}
    assert [path for path in world.root.rglob("*") if ".part-" in path.name] == []


@pytest.mark.parametrize(("stage", "fault"), CASES)
def test_a_failing_disk_ends_the_stage_with_a_message_and_nothing_half_written(ready: World, stage: str, fault: str):
    failing, message = FAULTS[fault]
    ready.clear(stage)
    with failing():
        done = ready.run(stage)
    assert done.exit_code == 1, done.output
    assert isinstance(done.exception, SystemExit), "no traceback"
    assert message in done.output
    assert "run the same command, or `dvc repro`, to resume" in done.output
    check_nothing_half_written(ready, stage)


BROKEN = {
    "memory": (MemoryError("Unable to allocate 3.2 GiB"), "memory is full: Unable to allocate 3.2 GiB"),
    "torch's memory": (
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: you tried"),
        "memory is full: [enforce fail",
    ),
    "a thread's memory": (RuntimeError("can't start new thread"), "memory is full: can't start new thread"),
    "the GPU's memory": (torch.OutOfMemoryError("CUDA out of memory. Tried to"), "the GPU's memory is full: CUDA out"),
    "the GPU": (
        RuntimeError("CUDA error: unspecified launch failure\nCUDA kernel errors might be reported"),
        "the GPU failed or was lost: CUDA error: unspecified launch failure; ",
    ),
}
INSIDE = {
    "train": "wheretolook.training.objective.head_losses",
    "export": "wheretolook.cams.stream.store",
    "score": "wheretolook.analysis.probing.probe.load_model",
}


@pytest.mark.parametrize("stage", INSIDE)
@pytest.mark.parametrize("what", BROKEN)
def test_memory_or_gpu_that_fails_ends_the_stage_with_a_message(ready: World, stage: str, what: str):
    error, message = BROKEN[what]
    ready.clear(stage)
    with mock.patch(INSIDE[stage], side_effect=error):
        done = ready.run(stage)
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit), "no traceback"
    assert message in done.output
    check_nothing_half_written(ready, stage)


def test_a_bug_keeps_its_traceback(ready: World):
    with mock.patch(INSIDE["score"], side_effect=RuntimeError("a bug")):
        assert isinstance(ready.run("score").exception, RuntimeError)


def test_after_the_fault_the_same_command_ends_well(ready: World):
    ready.clear("train")
    with faults.short_files():
        assert ready.run("train").exit_code == 1
    assert ready.run("train").exit_code == 0
    assert ready.digests(ready.root) == ready.digests(ready.kept)


def test_hardly_any_descriptors_are_a_message_too(ready: World):
    with faults.few_descriptors(1):
        done = ready.run("fetch")
    assert done.exit_code == 1
    assert "too many open files" in done.output


def test_arrays_take_their_space_before_they_are_filled(ready: World):
    """A mapped file of holes would meet a full disk as SIGBUS, without a word."""
    ready.clear("prepare")
    with faults.short_files(40_000):
        said = ready.run("prepare").output
    assert "decoded.npy: larger than the file size limit: needed 0.1 MB" in said


@pytest.mark.parametrize(
    ("stage", "option", "kilobytes", "message"),
    [
        ("prepare", "--prepared", 80, "decoded.npy: no space left on the disk: needed 0.1 MB, 0.1 MB free"),
        ("export", "--cache", 40, "cam.block1.npy: no space left on the disk: needed 0.1 MB, 0.0 MB free"),
        ("train", "--models", 4, "every-0.safetensors: no space left on the disk: needed more than is free"),
        ("train", "--cache", 8, ".rank0.pt: no space left on the disk: needed more than is free"),
        ("score", "--reports", 8, "every-0.json: no space left on the disk: needed more than is free"),
        ("compare", "--arrays", 8, "out: no space left on the disk: needed more than is free"),
        ("export", "--cams", 40, "out/every-0: no space left on the disk: needed more than is free"),
        ("fetch", "--raw", 40, "out: no space left on the disk: needed more than is free"),
    ],
)
def test_a_disk_that_is_really_full_is_a_message(ready: World, stage: str, option: str, kilobytes: int, message: str):
    with faults.small_disk(ready.root / "disk", kilobytes) as there:
        if not there:
            pytest.skip("no disk can be mounted here")
        done = ready.run(stage, option, "disk/out")
        left = [path for path in (ready.root / "disk").rglob("*") if path.is_file()]
    assert done.exit_code == 1, done.output
    assert isinstance(done.exception, SystemExit), done.exception
    assert message in done.output
    assert left == []


SHORT_OF_MEMORY = """
import resource, sys
import psutil
import prepare, wheretolook.prepare.prepare_images
from wheretolook.base.terminal import command
size = psutil.Process().memory_info().vms + int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_AS, (size, size))
prepare.prepare()
"""


@pytest.mark.parametrize("spare", [40_000_000, 300_000_000])
def test_short_of_memory_prepare_says_so_and_leaves_nothing(ready: World, tmp_path: Path, spare: int):
    """The limit is what the process takes when its libraries are loaded, and `spare`: libraries differ by machine."""
    words = [*ready.commands["prepare"][1], "--size", "2048", "--prepared", str(tmp_path / "prepared")]
    done = subprocess.run(
        [sys.executable, "-c", SHORT_OF_MEMORY, str(spare), *words],
        cwd=ready.root,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'stages'}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    assert "memory is full: " in done.stderr and "close other programs" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
