"""A name for the state of work that isn't done: no other work, on other data, code or machine, has the same."""

import hashlib
import json
import platform
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wheretolook.data.hashing import sha256_of
from wheretolook.execution.device import describe_device
from wheretolook.execution.ranks import Ranks

PACKAGE = Path(__file__).parents[1]
_STATE = re.compile(r"[0-9a-f]{32}(\..*)?")  # a key, and what is written or removed under it


def state_key(depends_on: Mapping[str, Any], ranks: Ranks) -> str:
    """A hash of all that the bytes of some work depend on: 32 hex digits.

    All code is part of it, more than the work imports: what a change does in vain is to begin some work anew.

    Args:
        depends_on: its parameters and inputs, as JSON can hold them; versions, device, threads and the number of
            processes are added here.
        ranks: the processes that share it.
    """
    whole = dict(depends_on) | {
        "code": {file.relative_to(PACKAGE).as_posix(): sha256_of(file) for file in sorted(PACKAGE.rglob("*.py"))},
        "versions": [platform.python_version(), torch.__version__, np.__version__],
        "device": describe_device(ranks.device),
        "threads": torch.get_num_threads(),
        "processes": ranks.count,
    }
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:32]


def states_of(cache: Path, name: str) -> list[Path]:
    """Files and folders of states that a model has in a cache: those named by a key, and nothing else that is there.

    Args:
        cache: the folder for states.
        name: of the model.
    """
    return [path for path in sorted((cache / name).glob("*")) if _STATE.fullmatch(path.name)]


def remove_states(cache: Path, name: str) -> None:
    """Remove all states of a model, and its folder in the cache, if that holds nothing else.

    Args:
        cache: the folder for states.
        name: of the model.
    """
    for state in states_of(cache, name):
        if state.is_dir() and not state.is_symlink():
            shutil.rmtree(state, ignore_errors=True)
        else:
            state.unlink(missing_ok=True)
    with suppress(OSError):
        (cache / name).rmdir()
