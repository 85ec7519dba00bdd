"""Stage `sync`, and `wheretolook share`: a model goes to Drive and comes back."""

import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from tests.drive_server.drive import Drive, Folder
from tests.drive_server.served import Served
from tests.importing.forked import forked_quarantine
from tests.networks.made_models import FOREIGN, foreign_state, small_card, small_network, write_model
from wheretolook.cli.project_commands import share
from wheretolook.networks.checkpoint import load_model, save_model
from wheretolook.project.params_file import arguments

sys.path.insert(0, str(Path(__file__).parents[2] / "stages"))
from sync import sync

ID = "1AbCdEfGhIjKlMnOpQrStUvWxYz_0123-"
SHARED = ["--timeout", "5", "--retries", "0"]


@pytest.fixture(autouse=True)
def _files_are_opened_in_a_fork() -> Iterator[None]:
    """The process of the quarantine has tests of its own (tests/importing/test_quarantine.py)."""
    with forked_quarantine():
        yield


@pytest.fixture
def drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Drive]:
    with Drive(tmp_path) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        yield server


def run(*options: str) -> Result:
    return CliRunner().invoke(sync, ["last-9", *SHARED, *options], catch_exceptions=False)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_model_trained_here_and_shared_comes_back_to_the_byte(drive: Drive, tmp_path: Path) -> None:
    path = write_model(tmp_path / "trained" / "last-0.safetensors")
    told = CliRunner().invoke(share, [str(path)], catch_exceptions=False)
    assert told.exit_code == 0
    entry = re.search(r"drive:\n  (last-0):\n    id: FILE_ID\n    sha256: ([0-9a-f]{64})\n", told.output)
    assert entry and entry[2] == digest(path.read_bytes())
    assert "looknet for infected, uninfected; images of 32 x 32 pixels; trained on the last layer" in told.output
    assert "The file records all of this, except how images were made square: mention it when you share" in told.output

    drive.files[ID] = Served(path.read_bytes(), kind="virus scan")
    done = run("--id", ID, "--sha256", entry[2])
    assert (done.exit_code, done.stderr) == (0, "")
    assert Path("models/last-9.safetensors").read_bytes() == path.read_bytes()


def test_what_is_shared_says_how_an_image_becomes_a_square(tmp_path: Path) -> None:
    save_model(tmp_path / "padded.safetensors", small_network(), small_card(fit="pad"))
    told = CliRunner().invoke(share, [str(tmp_path / "padded.safetensors")], catch_exceptions=False)
    assert "images of 32 x 32 pixels by pad; trained" in told.output
    assert "The file records all of this, so no other" in told.output


def test_a_name_that_params_yaml_would_refuse_is_not_shared(tmp_path: Path) -> None:
    path = write_model(tmp_path / "last-0.safetensors")
    told = CliRunner().invoke(share, [str(path), "--name", "x" * 101])
    assert told.exit_code == 1 and "100 characters at most, as a model's name" in told.output


def test_a_foreign_state_dict_becomes_a_model_file(drive: Drive, tmp_path: Path) -> None:
    torch.save({"state_dict": foreign_state()}, tmp_path / "foreign.pth")
    content = (tmp_path / "foreign.pth").read_bytes()
    drive.files[ID] = Served(content)
    # A list in params.yaml comes as one option for each element.
    means = ["--mean", "0.1", "--mean", "0.2", "--mean", "0.3"]
    told = [*FOREIGN, *means, "--fit", "pad"]
    done = run("--url", f"https://drive.google.com/file/d/{ID}/view", "--sha256", digest(content), *told)
    assert done.exit_code == 0, done.output
    network, card = load_model(Path("models/last-9.safetensors"), torch.device("cpu"))
    assert (card.class_names, card.mean, card.fit) == (("infected", "uninfected"), (0.1, 0.2, 0.3), "pad")
    images = torch.ones(1, 3, 32, 32)
    assert torch.equal(network(images), small_network()(images))


def test_a_class_of_a_list_may_have_a_comma_in_its_name(drive: Drive, tmp_path: Path) -> None:
    torch.save(foreign_state(), tmp_path / "foreign.pth")
    entry = {
        "url": str(tmp_path / "foreign.pth"),
        "sha256": digest((tmp_path / "foreign.pth").read_bytes()),
        "architecture": "looknet",
        "arguments": "width=4,depth=2",
        "classes": ["tench, Tinca tinca", "goldfish"],
        "input_size": 32,
    }
    done = run(*arguments(entry))
    assert done.exit_code == 0, done.output
    _, card = load_model(Path("models/last-9.safetensors"), torch.device("cpu"))
    assert card.class_names == ("tench, Tinca tinca", "goldfish")


@pytest.mark.parametrize(
    ("served", "options", "says"),
    [
        (Served(kind="quota"), ["--sha256", "0" * 64], "an exceeded download quota"),
        (Served(kind="private"), ["--sha256", "0" * 64], "a private file"),
        (Served(b"other"), ["--sha256", "0" * 64], r"drive\.last-9\.sha256\), found " + digest(b"other")),
        (Served(b"other"), [], r"write `sha256: " + digest(b"other") + "` in params.yaml"),
        (Served(b"other"), ["--sha256", digest(b"other")], r"drive\.last-9 \(https://.*found a file without a card"),
        (Served(b"other"), ["--sha256", "abc"], "64 hexadecimal digits"),
        (Served(b"other"), ["--sha256", "0" * 64, "--classes", "a,b"], "found no architecture, input_size"),
    ],
)
def test_each_failure_is_one_message_and_leaves_no_model(
    served: Served, options: list[str], says: str, drive: Drive, tmp_path: Path
) -> None:
    drive.files[ID] = served
    done = run("--id", ID, *options)
    assert done.exit_code == 1
    assert re.search(says, done.stderr)
    assert not list(tmp_path.glob("models/*"))


@pytest.mark.parametrize(
    ("options", "found"),
    [([], "none"), (["--id", ID, "--url", "https://a.b/c"], "id and url"), (["--folder", ID], "no file")],
)
def test_an_entry_has_an_id_or_a_url(options: list[str], found: str, tmp_path: Path) -> None:
    done = run(*options)
    assert done.exit_code == 1
    assert "drive.last-9: expected" in done.stderr and f"found {found}" in done.stderr


TOP = "1FolderOfModels_-456789012345"


def test_one_of_the_models_of_a_folder_comes_by_its_name(drive: Drive, tmp_path: Path) -> None:
    content = write_model(tmp_path / "own.safetensors").read_bytes()
    drive.files[ID] = Served(content)
    drive.folders[TOP] = Folder("models", {"best.safetensors": ID, "readme.txt": "1" * 28}, {})
    done = run("--folder", TOP, "--file", "best.safetensors", "--sha256", digest(content))
    assert done.exit_code == 0, done.output
    assert Path("models/last-9.safetensors").read_bytes() == content
    asked = len(drive.tally.requests)
    again = f"https://drive.google.com/drive/u/0/mobile/folders/{TOP}?usp=sharing"
    assert run("--folder", again, "--file", "best.safetensors", "--sha256", digest(content)).exit_code == 0
    assert len(drive.tally.requests) == asked, "what is in the cache needs no network"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--folder", TOP, "--file", "bets.pt"], "Did you mean 'best.pt'?"),
        (["--url", f"https://drive.google.com/folderview?id={TOP}"], f'    folder: {TOP}\n    file: "best.pt"\n'),
        (["--url", f"https://drive.google.com/drive/folders/{TOP}"], '    file: "last.pt"'),
        (["--url", f"https://docs.google.com/document/d/{ID}/edit"], "a Google document, which is not stored"),
        (["--folder", f"https://drive.google.com/file/d/{ID}/view", "--file", "x"], "found another link"),
    ],
)
def test_a_folder_is_listed_ready_to_paste(options: list[str], says: str, drive: Drive) -> None:
    drive.folders[TOP] = Folder("models", {"best.pt": ID, "last.pt": "2" * 28, "notes.txt": "1" * 28}, {})
    done = run(*options, "--sha256", "0" * 64)
    assert done.exit_code == 1
    assert says in done.stderr


def test_a_link_with_a_resource_key_that_fails_says_so(drive: Drive) -> None:
    drive.files[ID] = Served(kind="private")
    done = run("--url", f"https://drive.google.com/file/d/{ID}/view?resourcekey=0-abc", "--sha256", "0" * 64)
    assert done.exit_code == 1
    assert "a private file" in done.stderr and "resource key" in done.stderr


def test_timeout_and_retries_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERETOLOOK_RETRIES", "-1")
    done = CliRunner().invoke(sync, ["last-9", "--id", ID])
    assert done.exit_code == 2
    assert "--retries" in done.stderr and "WHERETOLOOK_RETRIES" in done.stderr


def test_what_is_no_model_is_not_shared(tmp_path: Path) -> None:
    torch.save(foreign_state(), tmp_path / "foreign.pth")
    for path, says in ((tmp_path / "foreign.pth", "found another"), (tmp_path / "gone", "found no such file")):
        told = CliRunner().invoke(share, [str(path)])
        assert told.exit_code == 1
        assert says in told.stderr


def test_a_name_that_params_would_not_take_is_not_proposed(tmp_path: Path) -> None:
    told = CliRunner().invoke(share, [str(write_model(tmp_path / "2nd.best.safetensors"))])
    assert told.exit_code == 1
    assert "2nd.best: expected a letter" in told.stderr


def test_a_key_that_the_stage_does_not_take_is_named_under_dvc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_STAGE", "sync@last-9")
    shown = {key: CliRunner().invoke(sync, ["last-9", f"--{key}", "x"]).stderr for key in ("path", "sha265")}
    assert "unknown key 'path' of stage sync. `url` takes a path too: write `url: /path/to/file`" in shown["path"]
    assert "unknown key 'sha265' of stage sync. Did you mean 'sha256'?" in shown["sha265"]
