"""Stages and commands of DVC as forks of one process that has imported the libraries: a start takes no seconds.

Shims named `python`, `dvc` and `wheretolook` come first on the PATH. They hand DVC, the project's commands and
`python stages/NAME.py ...` over to the server, and run everything else with the real Python. The server holds
libraries alone; the project's own modules are imported in the fork, from its PYTHONPATH, as in any process. What real
processes do, when they start and when they are killed, is tested in tests/chaos.
"""

import atexit
import importlib
import io
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

LIBRARIES = (
    *("numpy", "pandas", "scipy.stats", "sklearn.metrics", "torch", "safetensors.torch", "safetensors.numpy"),
    *("matplotlib.figure", "matplotlib.backends.backend_agg", "PIL.Image", "jinja2", "pydantic", "click", "tqdm"),
    *("requests", "filelock", "ruamel.yaml", "dvc.cli", "dvc.repo", "dvc.commands.repro", "dvc.repo.reproduce"),
)

SHIMS = {"python": [], "dvc": ["-m", "dvc"], "wheretolook": ["-m", "wheretolook.cli.main"]}  # first words of each
SHIM = """#!{python} -IS
import json, os, select, socket, sys
words = [*{words}, *sys.argv[1:]]
if words[:2] not in {commands} and not (words and words[0].startswith("stages/")):
    os.execv("{python}", ["{python}", *words])
server = socket.socket(socket.AF_UNIX)
server.connect("{address}")
socket.send_fds(server, [b"+"], [0, 1, 2])
server.sendall(json.dumps([words, os.getcwd(), dict(os.environ)]).encode())
server.shutdown(socket.SHUT_WR)
answer = server.makefile()
process = os.pidfd_open(int(answer.readline()))
status = answer.readline()
select.select([process], [], [])
sys.exit(int(status or 1))
"""


@contextmanager
def fork_server(folder: Path) -> Iterator[dict[str, str]]:
    """Run the server; gives what a command's environment needs, empty where the system can't do it (other than Linux).

    Args:
        folder: empty, for the socket and the shim; its path is short, since a socket's may have 100 bytes.
    """
    if not hasattr(os, "pidfd_open"):
        yield {}
        return
    address, shims = folder / "socket", folder / "bin"
    shims.mkdir()
    commands = [words for words in SHIMS.values() if words]
    for name, words in SHIMS.items():
        (shims / name).write_text(
            SHIM.format(python=sys.executable, address=address, words=words, commands=commands), encoding="utf-8"
        )
        (shims / name).chmod(0o755)
    environment = {**os.environ, "PYTHONPATH": "", "MPLBACKEND": "agg"}
    with subprocess.Popen([sys.executable, __file__, str(address)], stdout=subprocess.PIPE, env=environment) as server:
        try:
            assert server.stdout and server.stdout.readline() == b"ready\n"
            yield {"PATH": os.pathsep.join([str(shims), str(Path(sys.executable).parent), os.environ["PATH"]])}
        finally:
            server.terminate()


def serve(address: str) -> None:
    """Fork for each request, until this process is ended."""
    for name in LIBRARIES:
        importlib.import_module(name)
    assert not any(name.split(".")[0] in ("wheretolook", "tests") for name in sys.modules)
    signal.signal(signal.SIGCHLD, _reap)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        print("ready", flush=True)
        while True:
            client, _ = listening.accept()
            with client:
                if os.fork() == 0:
                    listening.close()
                    _answer(client)


def _reap(*_: object) -> None:
    """Collect forks that have ended, so that their processor time counts as the server's."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _answer(client: socket.socket) -> None:
    """The fork: run the request, say how it ended, and end."""
    own, leave = os.getpid(), os._exit

    def end(status: int) -> NoReturn:
        if os.getpid() == own:
            client.sendall(f"{status}\n".encode())
        leave(status)

    os._exit = end  # a stage ends by it
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    client.sendall(f"{own}\n".encode())
    _, streams, _, _ = socket.recv_fds(client, 1, 3)
    with client.makefile("rb") as request:
        words, folder, environment = json.loads(request.read())
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False))
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), encoding="utf-8")
    sys.stderr = io.TextIOWrapper(
        io.FileIO(2, "w", closefd=False), encoding="utf-8", errors="backslashreplace", line_buffering=True
    )
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    status = 1
    try:
        status = _run(words)
        atexit._run_exitfuncs()
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001 -- as the interpreter ends
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        end(status)


def _run(words: list[str]) -> int:
    """Run a module or a script as `python WORDS` does; gives its exit status."""
    own = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    is_module = words[0] == "-m"
    sys.path[0:1] = ["" if is_module else str(Path(words[0]).parent.resolve()), *own]
    sys.argv = words[1:] if is_module else words
    try:
        if is_module:
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        print(ended.code, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    serve(sys.argv[1])
