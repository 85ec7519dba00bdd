"""The other process of `quarantine`: it opens one file that can't be trusted, and answers in JSON."""

import json
import sys
import time
from pathlib import Path
from typing import Any

from wheretolook.base.errors import InputError


def main(text: str) -> None:
    """Carry out a request, written as JSON, and print {"refused": fields of an InputError or null, "reports": [...]}.

    Any other error ends the process with a traceback, from which the parent takes the last line.
    """
    request = json.loads(text)
    import torch

    torch.set_num_threads(1)
    load_libraries(request["architecture"])
    bound(request["memory"], request["seconds"])
    print(json.dumps(answer(request)))


def load_libraries(architecture: str) -> None:
    """Import what the task needs: the limits are on the file, and not on a busy machine that loads libraries."""
    from contextlib import suppress

    from wheretolook.importing import foreign_state  # noqa: F401
    from wheretolook.networks.architectures import parse_architecture

    with suppress(InputError, ImportError):  # the task itself says what is wrong with the name, or missing
        kind = parse_architecture(architecture).kind
        if kind == "torchvision":
            from wheretolook.networks import torchvision_networks  # noqa: F401
        elif kind == "timm":
            import timm  # noqa: F401


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """What the task that is asked for says of the file."""
    try:
        return {"refused": None, "reports": TASKS[request["task"]](request)}
    except InputError as error:
        return {"refused": [error.subject, error.expected, error.found, error.hint], "reports": []}


def bound(memory: int, seconds: int) -> None:
    """Let this process use only so many more bytes, and seconds of processor time; beyond them it ends."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Processor time of the process so far, imports included, does not count.
    limit = int(time.process_time()) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 10))
    status = Path("/proc/self/statm")
    if status.exists():
        # Where the system tells, and holds to it: Linux.
        pages = int(status.read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def check(request: dict[str, Any]) -> list[str]:
    """Load a model file of this project as every later stage will."""
    import torch

    from wheretolook.networks.checkpoint import load_model

    load_model(Path(request["path"]), torch.device("cpu"))
    return []


def convert(request: dict[str, Any]) -> list[str]:
    """Write a foreign checkpoint as a model file of this project."""
    from wheretolook.importing.foreign_state import convert_state

    return convert_state(Path(request["path"]), request["subject"], Path(request["target"]), request["description"])


TASKS = {"check": check, "convert": convert}

if __name__ == "__main__":
    main(sys.argv[1])
