"""What runs in the other process of `quarantine`: it opens one file that can't be trusted, or says why not."""

import json
import signal
import sys
from pathlib import Path
from typing import Any

from wheretolook.data.refusal import Refusal


def main(text: str) -> None:
    """Carry out a request, written as JSON, and print the reason of a refusal as JSON, null for none.

    An error that is no refusal ends the process with a traceback, which the parent takes for a broken file.
    """
    request = json.loads(text)
    # Loaded first: the bounds are for the file, not for the libraries.
    import torch

    torch.set_num_threads(1)
    bound(request["memory"], request["seconds"])
    print(json.dumps(refused(request)))


def refused(request: dict[str, Any]) -> str | None:
    """Why the task that is asked for refuses the file; None where it does not."""
    try:
        TASKS[request["task"]](request)
    except Refusal as refusal:
        return str(refusal)
    return None


def bound(memory: int, seconds: int) -> None:
    """Let this process use only so many more bytes and seconds; beyond them it ends."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds + 10, seconds + 10))
    signal.alarm(seconds)
    status = Path("/proc/self/statm")
    if status.exists():
        # Where the system tells, and holds to it: Linux.
        pages = int(status.read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def check(request: dict[str, Any]) -> None:
    """Load a model file of this project as every later stage will."""
    import torch

    from wheretolook.models.checkpoint import load_model

    load_model(Path(request["path"]), torch.device("cpu"))


def convert(request: dict[str, Any]) -> None:
    """Write a foreign state dict as a model file of this project."""
    from wheretolook.models.foreign_state import convert_state

    convert_state(Path(request["path"]), Path(request["target"]), request["description"])


TASKS = {"check": check, "convert": convert}

if __name__ == "__main__":
    main(sys.argv[1])
