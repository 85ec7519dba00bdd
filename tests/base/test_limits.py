"""Threads and memory follow what this process may use."""

import os
from pathlib import Path

import pytest

from wheretolook.base import resources as limits
from wheretolook.prepare import pixels as arrays


def cgroup(folder: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.setattr(limits, "CGROUP", folder)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(6)), raising=False)


V1 = {"cpu/cpu.cfs_quota_us": "250000\n", "cpu/cpu.cfs_period_us": "100000\n"}


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 6),
        ({"cpu.max": "max 100000\n"}, 6),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "10000 100000\n"}, 1),
        ({"cpu.max": "900000 100000\n"}, 6),
        (V1, 3),
        (V1 | {"cpu/cpu.cfs_quota_us": "-1\n"}, 6),
    ],
)
def test_cores_are_those_of_affinity_and_quota(files: dict[str, str], cores: int, tmp_path: Path, monkeypatch):
    cgroup(tmp_path, monkeypatch, files)
    assert limits.usable_cores() == cores


@pytest.mark.parametrize(("free", "threads"), [(250_000_000, 1), (500_000_000, 2), (10_000_000_000, 4)])
def test_threads_are_those_that_the_free_memory_affords(free: int, threads: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(arrays, "free_memory", lambda: free)
    monkeypatch.setattr(arrays, "usable_cores", lambda: 4)
    assert arrays.affordable_threads(2048) == threads


def test_memory_for_no_thread_is_an_error_that_says_how_much(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(arrays, "free_memory", lambda: 100_000_000)
    with pytest.raises(MemoryError, match="2048 x 2048 pixels takes about 201 MB, 100 MB are free"):
        arrays.affordable_threads(2048)
