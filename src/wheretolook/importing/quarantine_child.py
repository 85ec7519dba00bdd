"""The process of `quarantine`: opens one untrusted file, and prints the result as JSON."""

import json
import sys
import time
from pathlib import Path
from typing import Any

from wheretolook.base.errors import InputError


def main(text: str) -> None:
    """Run a request, given as JSON, and print {"refused": fields of an InputError or null, "reports": [...]}.

    Any other error ends the process with a traceback; the parent process shows its last line.
    """
    request = json.loads(text)
    import torch

    torch.set_num_threads(1)
    load_libraries(request["architecture"])
    bound(request["memory"], request["seconds"])
    print(json.dumps(answer(request)))


def load_libraries(architecture: str) -> None:
    """Import the libraries that the task needs before the limits apply, so that a busy machine is not blamed."""
    from contextlib import suppress

    from wheretolook.importing import foreign_state  # noqa: F401
    from wheretolook.networks.architectures import parse_architecture

    with suppress(InputError, ImportError):  # the task reports invalid names and missing packages
        kind = parse_architecture(architecture).kind
        if kind == "torchvision":
            from wheretolook.networks import torchvision_networks  # noqa: F401
        elif kind == "timm":
            import timm  # noqa: F401
        elif kind == "hf":
            from transformers import AutoModelForImageClassification  # noqa: F401


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """The result of the requested task, or the fields of its InputError."""
    try:
        return {"refused": None, "reports": TASKS[request["task"]](request)}
    except InputError as error:
        return {"refused": [error.subject, error.expected, error.found, error.hint], "reports": []}


def bound(memory: int, seconds: int) -> None:
    """Limit memory (in bytes) and processor time (in seconds) of this process, beyond what it has used so far."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Processor time so far, for imports, does not count.
    limit = int(time.process_time()) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 10))
    status = Path("/proc/self/statm")
    if status.exists():
        # On Linux; other systems do not enforce RLIMIT_AS.
        pages = int(status.read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def check(request: dict[str, Any]) -> list[str]:
    """Load a model file of this project, as later stages do."""
    import torch

    from wheretolook.networks.checkpoint import load_model

    load_model(Path(request["path"]), torch.device("cpu"))
    return []


def convert(request: dict[str, Any]) -> list[str]:
    """Convert a foreign checkpoint to a model file of this project."""
    from wheretolook.importing.foreign_state import convert_state

    return convert_state(Path(request["path"]), request["subject"], Path(request["target"]), request["description"])


TASKS = {"check": check, "convert": convert}

if __name__ == "__main__":
    main(sys.argv[1])
