"""One writer for one output: who comes second is told who came first."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wheretolook.data.refusal import Refusal

LOCKS = Path(".cache/locks")


@contextmanager
def only_writer(stage: str, parameters: Mapping[str, Any], environment: Mapping[str, str]) -> Iterator[None]:
    """Hold the lock of a stage's outputs. The kernel lets go of it when the process ends, however it ends.

    DVC refuses a second `dvc repro` itself; this is for a stage that outlived its dvc, and for one started by hand.

    Args:
        stage: the command's name.
        parameters: of the command. The name it's for and its paths say which outputs are meant.
        environment: torchrun says in it which of several processes this one is; the first speaks for all.

    Raises:
        Refusal: another process holds it.
    """
    if environment.get("RANK", "0") != "0":
        yield
        return
    from filelock import FileLock, Timeout

    LOCKS.mkdir(parents=True, exist_ok=True)
    file = LOCKS / f"{key(stage, parameters)}.lock"
    owner = file.with_suffix(".pid")
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise Refusal(_in_use(stage, parameters, owner)) from error
    try:
        owner.write_text(f"{os.getpid()}\n", encoding="utf-8")
        yield
    finally:
        lock.release()


def key(stage: str, parameters: Mapping[str, Any]) -> str:
    """A name for the outputs of a stage: its own, the one it's for, and a hash of where it reads and writes."""
    name = parameters.get("name")
    paths = {key: str(value.absolute()) for key, value in parameters.items() if isinstance(value, Path)}
    digest = hashlib.sha256(json.dumps(paths, sort_keys=True).encode()).hexdigest()[:12]
    return "-".join(part for part in (stage, name if isinstance(name, str) else "", digest) if part)


def _in_use(stage: str, parameters: Mapping[str, Any], owner: Path) -> str:
    what = f"{stage} {parameters['name']}" if isinstance(parameters.get("name"), str) else stage
    who = owner.read_text(encoding="utf-8").strip() if owner.exists() else "unknown"
    return (
        f"{what}: expected to be the only writer of its outputs, found that process {who} writes them; wait until it "
        f"ends, or end it (`kill {who}`), then run the same command again"
    )
