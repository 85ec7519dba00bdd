"""Quarantine: an untrusted file is opened in another process, with limits on memory and processor time."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
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

    from wheretolook.importing import foreign_fit  # noqa: F401
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
    """Load a model file of this project, as later stages do.

    With a `target`, the user's code here may differ from the code that the model was trained with. The file is then
    written there again, with a card that says so.
    """
    import torch

    from wheretolook.networks.checkpoint import load_outputs, save_model

    target = request.get("target", "")
    network, card = load_outputs(Path(request["path"]), torch.device("cpu"), accept_code=bool(target))
    changed = card.training.get("accepted_code", [])
    if not target or not changed:
        return []
    save_model(Path(target), network, card)
    return [f"accept_code: {', '.join(changed)} differ from the code that the model was trained with"]


def convert(request: dict[str, Any]) -> list[str]:
    """Convert a foreign checkpoint to a model file of this project."""
    from wheretolook.importing.foreign_fit import convert_state

    return convert_state(Path(request["path"]), request["subject"], Path(request["target"]), request["description"])


TASKS = {"check": check, "convert": convert}


MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Bounds:
    """Limits of the quarantine process, beyond what its imports need.

    Attributes:
        memory: bytes.
        seconds: of processor time; wall time also depends on the load of the machine.
    """

    memory: int
    seconds: int

    @property
    def wall_seconds(self) -> int:
        """Timeout for a process that uses no processor time, such as one that waits for a disk."""
        return 600 + 20 * self.seconds


def bounds_for(path: Path) -> Bounds:
    """Limits for a file by its size: enough for several copies in memory and a slow processor."""
    size = path.stat().st_size
    return Bounds(memory=1024 * MEBIBYTE + 6 * size, seconds=30 + size // (4 * MEBIBYTE))


def open_in_quarantine(task: str, path: Path, subject: str, bounds: Bounds, **request: Any) -> list[str]:
    """Run one of `TASKS` on a file, in a process of its own.

    Args:
        task: name of the task.
        path: the file.
        subject: its name in messages.
        bounds: limits of memory and processor time.
        request: further arguments of the task, as JSON values.

    Returns:
        Lines for the user about choices that were made.

    Raises:
        InputError: the task rejected the file, failed, or exceeded a limit.
    """
    request |= {"task": task, "path": str(path), "subject": subject}
    request |= {"memory": bounds.memory, "seconds": bounds.seconds}
    command = [sys.executable, "-m", __name__, json.dumps(request)]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=bounds.wall_seconds)
    except subprocess.TimeoutExpired as error:
        raise timed_out(subject, f"{bounds.wall_seconds} s") from error
    output, errors = (stream.decode(errors="replace") for stream in (done.stdout, done.stderr))
    return judge(subject, bounds, done.returncode, output, errors)


def judge(subject: str, bounds: Bounds, code: int, output: str, errors: str) -> list[str]:
    """The lines that a quarantine process reported, or an error by its exit status.

    Args:
        subject: name of the file in messages.
        bounds: limits of the process.
        code: exit status; negative for a signal.
        output: its stdout.
        errors: its stderr.

    Raises:
        InputError: the process rejected the file, failed, or was killed.
    """
    if code == -signal.SIGXCPU:
        raise timed_out(subject, f"{bounds.seconds} s of processor time")
    if code < 0:
        raise InputError(
            subject,
            expected="a file that can be loaded",
            found=f"signal {-code} ({_signal_name(-code)}) in the process that loaded it",
            hint="Free memory and run it again. If it happens again, the file is damaged: download it again, or ask "
            "for a safetensors file",
        )
    if code:
        last = (errors.strip().splitlines() or ["no message"])[-1][:300]
        if "memory" in last.lower() or "alloc" in last.lower():
            raise InputError(
                subject,
                f"a file that loads within {bounds.memory // MEBIBYTE} MiB of memory",
                f"more ({last})",
                "The file is damaged or malicious: ask who made it for a safetensors file",
            )
        raise InputError(
            subject, "a file that can be loaded", f"an error ({last})", "Download it again, or ask who made it"
        )
    answer = json.loads(output.splitlines()[-1])
    if answer["refused"]:
        raise InputError(*answer["refused"])
    return answer["reports"]


def timed_out(subject: str, limit: str) -> InputError:
    """The error for a timeout; it does not blame the file, since the machine may be slow."""
    return InputError(
        subject,
        expected="a file that can be loaded",
        found=f"a timeout after {limit}",
        hint="Run it again. If it times out again, ask who made the file for a safetensors file",
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


if __name__ == "__main__":
    main(sys.argv[1])
