import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.pipeline.code_dependencies import ROOT
from wheretolook.base.errors import InputError
from wheretolook.networks.runtime.processes import Ranks, joined_ranks

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
SCRIPT = """
import os, sys
import torch
from tests.networks.small import OPTIONS, prepared
from dataclasses import replace
from pathlib import Path
from wheretolook.networks.checkpoint import save_model
from wheretolook.networks.runtime.processes import joined_ranks
from wheretolook.training import train_network as resume
from wheretolook.training.loop import Training
from wheretolook.training.train_network import train_network

options, advance = replace(OPTIONS, loss="every"), Training.advance


class Stopped(Exception):
    pass


def stop_after(steps):
    def stopping(training):
        if training.progress.step == steps:
            raise Stopped
        return advance(training)

    Training.advance = stopping


with joined_ranks(os.environ, torch.device("cpu")) as ranks:
    for run in ("first", "second", "resumed"):
        cache = Path(sys.argv[1]) / run
        if run == "resumed":
            # In the middle of an epoch each process has totals and running statistics of its own.
            resume.SECONDS_BETWEEN = 0.0
            stop_after(6)
            try:
                train_network(prepared(), options, ranks, "tiny", cache, print)
            except Stopped:
                Training.advance, resume.SECONDS_BETWEEN = advance, 90.0
        network, card = train_network(prepared(), options, ranks, "tiny", cache, print)
        # Each process writes its own, to show that all hold the same.
        save_model(Path(sys.argv[1]) / f"{run}-{ranks.rank}.safetensors", network, card)
"""


def test_without_torchrun_a_process_is_alone_and_nothing_is_touched():
    with joined_ranks({}, torch.device("cpu")) as ranks:
        assert (ranks.rank, ranks.count, ranks.alone, ranks.leads) == (0, 1, True, True)
        assert not torch.distributed.is_initialized()
        assert ranks.summed(torch.ones(2)).tolist() == [1, 1]


def test_the_shares_of_all_processes_are_the_whole():
    items = np.arange(7)
    shares = [Ranks(rank, 3, rank, torch.device("cpu")).share(items).tolist() for rank in range(3)]
    assert shares == [[0, 3, 6], [1, 4], [2, 5]]


def test_more_processes_than_cuda_devices_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    environment = {"TORCHELASTIC_RUN_ID": "x", "RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}
    with (
        pytest.raises(InputError, match="at most 1 processes on this machine, one per CUDA device, found process 2"),
        joined_ranks(environment, torch.device("cuda")),
    ):
        pass


def test_one_cuda_device_for_several_processes_is_refused():
    environment = {"TORCHELASTIC_RUN_ID": "x", "RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}
    with (
        pytest.raises(InputError, match='device "cuda:1": expected "cuda", so that each of the 2 processes uses'),
        joined_ranks(environment, torch.device("cuda:1")),
    ):
        pass


def test_two_processes_under_torchrun_end_with_one_network_the_same_each_time_stopped_or_not(tmp_path: Path):
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "OMP_NUM_THREADS": "1"}
    (tmp_path / "run.py").write_text(SCRIPT)
    command = [*TORCHRUN, str(tmp_path / "run.py"), str(tmp_path)]
    done = subprocess.run(
        command, check=True, env=environment, cwd=ROOT, timeout=900, stdout=subprocess.PIPE, text=True
    )
    files = [path.read_bytes() for path in tmp_path.glob("*.safetensors")]
    assert len(files) == 6
    assert "resumes after step 6 of 8" in done.stdout
    assert len(set(files)) == 1
    # What all have in common is saved once.
    states = [torch.load(next(tmp_path.glob(f"resumed/tiny/*/6.rank{rank}.pt"))) for rank in (0, 1)]
    assert set(states[1]) == {"tally", "statistics"} < set(states[0])
    assert states[0]["tally"][0] + states[1]["tally"][0] == 16
