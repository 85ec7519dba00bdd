"""Which errors are told in one message, and which keep their trace."""

import errno
import os
from pathlib import Path
from sqlite3 import OperationalError

import pytest
import torch

from wheretolook.base.terminal.command import explained


def failed(number: int, file: str | None = None) -> OSError:
    return OSError(number, os.strerror(number), *([file] if file else []))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (failed(errno.EACCES, "models/a"), "models/a: permission denied (Permission denied); change its mode or owner"),
        (failed(errno.EISDIR, "models/a"), "models/a: expected a file, found a folder; move it away"),
        (failed(errno.ENOTDIR, "look/a"), "look/a: expected folders above it, found a file; move it away"),
        (failed(errno.EEXIST, "look"), "look: expected a folder or a free path, found a file; move it away"),
        (failed(errno.ENAMETOOLONG, "a" * 300), "file name too long; shorten it"),
        (failed(errno.ENOSPC), "the disk: no space left on device; no output is incomplete; `make clean`"),
        (failed(errno.EROFS), "the disk is read-only; mount it for writing"),
    ],
)
def test_a_failure_of_the_disk_is_reported_with_its_name_and_a_remedy(error: OSError, message: str) -> None:
    told = explained(error)
    assert message in told
    assert "run the same command" in told


@pytest.mark.parametrize(
    "error",
    [
        failed(errno.ENOENT, "data/prepared/images.npy"),  # what a user names is looked for where it is read
        failed(errno.EACCES),  # of what?
        failed(errno.EPIPE),  # click's own
        failed(errno.EINVAL, "a"),
        OSError("no number"),
        RuntimeError("a bug"),
    ],
)
def test_any_other_error_keeps_its_trace(error: Exception) -> None:
    assert explained(error) is None


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("MPS backend out of memory (MPS allocated: 9.05 GB, max allowed: 9.07 GB). Tried to allocate"),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    ],
)
def test_a_gpu_whose_memory_is_full_has_not_failed(error: Exception) -> None:
    told = explained(error)
    assert told.startswith("the GPU's memory is full: ")
    assert "lower batch_size" in told and "nvidia-smi" not in told


def test_the_folder_of_dvcs_database_is_named() -> None:
    told = explained(OperationalError("database or disk is full"))
    assert told.startswith("DVC's database: database or disk is full; it is in the folder core.site_cache_dir")


def test_nvidias_tool_is_named_for_its_own_gpus_alone() -> None:
    assert "nvidia-smi" in explained(RuntimeError("CUDA error: unspecified launch failure"))
    assert "nvidia-smi" not in explained(RuntimeError("MPS backend failed to run"))


def test_a_disk_without_inodes_is_distinguished_from_a_full_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "a"))
    assert "no space left on the disk" in explained(error)
    disk = os.statvfs_result([4096, 4096, 1000, 1000, 1000, 64, 0, 0, 0, 255])
    monkeypatch.setattr(os, "statvfs", lambda path: disk)
    assert explained(error).startswith(f"{tmp_path / 'a'}: no inodes left on the disk")
