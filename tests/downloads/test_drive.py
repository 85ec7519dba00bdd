"""Files of Google Drive: an unmodified gdown against a server on loopback that plays Drive over TLS."""

import hashlib
import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from tests.drive_server.drive import Drive, Folder
from tests.drive_server.served import Served
from wheretolook.base.errors import InputError
from wheretolook.cli.main import main
from wheretolook.downloads.attempts import RetryPolicy
from wheretolook.downloads.drive import drive_file, drive_link
from wheretolook.downloads.drive_listing import drive_id
from wheretolook.downloads.obtain import ContentCache, PinnedFile, obtain

CONTENT = random.Random(0).randbytes(300_000)
PATIENT = RetryPolicy(timeout=5, retries=2, pause=0.001)
IMPATIENT = RetryPolicy(timeout=0.3, retries=0)
ID = "1AbCdEfGhIjKlMnOpQrStUvWxYz_0123-"


@pytest.fixture
def drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Drive]:
    with Drive(tmp_path) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        yield server


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def get(folder: Path, policy: RetryPolicy = PATIENT, sha256: str = digest(CONTENT)) -> bytes:
    wanted = PinnedFile(drive_link(ID), sha256, "drive.last-9.sha256")
    return obtain(wanted, folder / "cache", policy).read_bytes()


def refused(folder: Path, policy: RetryPolicy = PATIENT, sha256: str = digest(CONTENT)) -> InputError:
    with pytest.raises(InputError) as caught:
        get(folder, policy, sha256)
    return caught.value


@pytest.mark.parametrize("kind", ["file", "virus scan"])
def test_a_file_comes_also_from_behind_the_virus_scan_page(kind: str, drive: Drive, tmp_path: Path) -> None:
    drive.files[ID] = Served(CONTENT, kind=kind)
    assert get(tmp_path) == CONTENT
    requests = len(drive.tally.requests)
    assert get(tmp_path) == CONTENT
    assert len(drive.tally.requests) == requests, "the second time needs no network"
    assert not (tmp_path / "home").exists(), "nothing is written into the home folder"


@pytest.mark.parametrize(
    "link",
    [
        f"https://drive.google.com/uc?id={ID}",
        f"https://drive.google.com/file/d/{ID}/view?usp=sharing",
        f"https://drive.google.com/open?id={ID}",
        f"https://drive.google.com/file/d/{ID}/edit",
    ],
)
def test_a_link_is_as_good_as_an_id(link: str) -> None:
    assert drive_id(link) == ID


@pytest.mark.parametrize("source", ["https://example.invalid/file.zip", "models/last-0.safetensors", "http://a/b"])
def test_other_sources_have_no_id(source: str) -> None:
    assert drive_id(source) == ""


# What Drive sends; parts of the error's `found` and `hint`; retries that are printed.
FAILURES = {
    "quota": (Served(kind="quota"), "an exceeded download quota", "wait a day", 0),
    "private": (Served(kind="private"), "a private file", "General access to 'Anyone with", 0),
    "forbidden": (Served(statuses=[403] * 9), "a private file", "General access", 0),
    "missing": (Served(kind="missing"), "HTTP 404", "check the id", 0),
    "too many requests": (Served(statuses=[429] * 99), "HTTP 429 (too many requests) after 3 attempts", "wait an", 2),
    "long wait": (Served(statuses=[429] * 99, retry_after="600"), "Retry-After: 600 s", "wait an hour", 0),
    "unavailable": (Served(statuses=[503] * 99), "HTTP 503 (server error) after 3 attempts", "run it again later", 2),
    "server error": (Served(statuses=[500] * 99), "HTTP 500 (server error) after 3 attempts", "run it again later", 2),
    "page": (Served(kind="page"), "an HTML page", "open the link in a browser", 0),
    "cut": (Served(CONTENT, cuts=[1000] * 99), "after 3 attempts", "the download will be resumed", 0),
    "another": (Served(CONTENT[::-1]), digest(CONTENT[::-1]), f"`sha256: {digest(CONTENT[::-1])}`", 0),
    "empty": (Served(b""), "an empty response", "open the link", 0),
    "too large": (Served(CONTENT * 3, claim=1 << 60), "needed", "free disk space", 0),
}


@pytest.mark.parametrize("case", FAILURES)
def test_each_failure_says_which_it_was_and_leaves_no_file(
    case: str, drive: Drive, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    served, found, hint, retries = FAILURES[case]
    drive.files[ID] = replace(served, statuses=list(served.statuses), cuts=list(served.cuts))
    error = refused(tmp_path)
    assert error.subject == drive_link(ID)
    assert found in error.found and hint in error.hint
    assert capsys.readouterr().err.count("attempt ") == retries, "only retryable failures are retried"
    assert ContentCache(tmp_path / "cache").get(digest(CONTENT)) is None


def test_how_to_accept_a_changed_file_on_purpose_is_said_and_works(drive: Drive, tmp_path: Path) -> None:
    changed = CONTENT[::-1]
    drive.files[ID] = Served(changed)
    error = refused(tmp_path)
    assert "drive.last-9.sha256" in error.expected and f"`sha256: {digest(changed)}` in params.yaml" in error.hint
    requests = len(drive.tally.requests)
    assert get(tmp_path, sha256=digest(changed)) == changed
    assert len(drive.tally.requests) == requests, "what came is kept by its own hash"


def test_a_missing_checksum_is_printed_ready_to_paste(drive: Drive, tmp_path: Path) -> None:
    drive.files[ID] = Served(CONTENT)
    error = refused(tmp_path, sha256="")
    assert error.found == "none" and f"`sha256: {digest(CONTENT)}` in params.yaml" in error.hint


def test_a_drip_is_given_up(drive: Drive, tmp_path: Path) -> None:
    drive.files[ID] = Served(CONTENT, drip=0.05)
    assert refused(tmp_path, IMPATIENT).found == "a timeout: no data for 0.6 s"


def test_a_silent_server_is_given_up(drive: Drive, tmp_path: Path) -> None:
    drive.files[ID] = Served(CONTENT, drip=2)
    assert "a timeout: no response" in refused(tmp_path, IMPATIENT).found


def test_headers_that_drip_are_given_up(drive: Drive, tmp_path: Path) -> None:
    drive.files[ID] = Served(CONTENT, header_drip=0.1)
    assert "a timeout: no response" in refused(tmp_path, IMPATIENT).found


def test_one_thread_watches_a_whole_download(drive: Drive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started, start = [], threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", lambda thread: (started.append(thread._target), start(thread)))
    drive.files[ID] = Served(CONTENT * 8)
    get(tmp_path, sha256=digest(CONTENT * 8))
    ours = [target for target in started if "downloads.drive" in getattr(target, "__module__", "")]
    assert len(ours) == 1


@pytest.mark.parametrize("statuses", [[429], [503], [500, 500, 500]])
def test_a_passing_failure_is_retried(statuses: list[int], drive: Drive, tmp_path: Path) -> None:
    drive.files[ID] = Served(CONTENT, statuses=statuses)
    assert get(tmp_path) == CONTENT


def test_a_run_that_was_cut_is_continued_by_the_next(drive: Drive, tmp_path: Path) -> None:
    content = random.Random(1).randbytes(3_000_000)
    # Cuts of successive requests: where gdown resumes, it sends two, for the whole file and for the rest.
    drive.files[ID] = Served(content, cuts=[1_700_000])
    once = replace(PATIENT, retries=0)
    refused(tmp_path, once, digest(content))
    assert get(tmp_path, once, digest(content)) == content
    assert any(wanted.startswith("bytes=1") for wanted in drive.tally.ranges)


def test_cut_at_five_random_places_it_sends_little_twice(drive: Drive, tmp_path: Path) -> None:
    content = random.Random(2).randbytes(6_000_000)
    draw = random.Random(3)
    cuts = [draw.randrange(100_000, 1_000_000) for _ in range(5)]
    drive.files[ID] = Served(content, cuts=cuts, etag='"v1"')
    assert get(tmp_path, replace(PATIENT, retries=5), digest(content)) == content
    assert drive.files[ID].cuts == []
    assert drive.tally.body_bytes <= 1.1 * len(content)


def test_two_versions_are_never_joined(drive: Drive, tmp_path: Path) -> None:
    content = random.Random(1).randbytes(1_500_000)
    drive.files[ID] = Served(content[::-1], cuts=[900_000], later=Served(content))
    assert get(tmp_path, PATIENT, digest(content)) == content


def test_a_server_that_will_not_resume_sends_all_of_it_again(drive: Drive, tmp_path: Path) -> None:
    content = random.Random(1).randbytes(1_500_000)
    drive.files[ID] = Served(content, cuts=[900_000], ranges=False)
    assert get(tmp_path, replace(PATIENT, retries=3), digest(content)) == content


def test_a_full_disk_is_called_so(drive: Drive, tmp_path: Path) -> None:
    drive.files[ID] = Served(CONTENT)
    (tmp_path / "work").mkdir()
    # gdown goes on in the one kept part; writing there ends as writing to a full disk does.
    (tmp_path / "work" / "contentabcdefgh.part").symlink_to("/dev/full")
    with pytest.raises(InputError) as caught:
        drive_file(ID, tmp_path / "work", replace(PATIENT, retries=0))
    assert caught.value.found == "a full disk" and "free disk space" in caught.value.hint


def test_no_network_is_called_so(drive: Drive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    error = refused(tmp_path)
    assert error.found == "no connection to drive.google.com through the proxy after 3 attempts"
    assert "check the connection" in error.hint


def test_an_untrusted_certificate_is_called_so(drive: Drive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    error = refused(tmp_path)
    assert error.found == "an untrusted certificate of drive.google.com" and "do not disable" in error.hint


def test_the_link_of_a_folder_is_not_taken_for_that_of_a_file(drive: Drive, tmp_path: Path) -> None:
    wanted = PinnedFile(f"https://drive.google.com/drive/folders/{ID}", digest(CONTENT), "drive.x.sha256")
    with pytest.raises(InputError, match="expected the link of a file, found the link of a folder"):
        obtain(wanted, tmp_path / "cache", PATIENT)
    assert not any(address.endswith("/uc") for address in drive.tally.requests)


def test_the_link_of_a_folder_gives_an_entry_for_each_model_file(drive: Drive) -> None:
    drive.folders[ID] = Folder(
        "runs", {"best.pt": "1a" * 16, "2 late.ckpt": "1b" * 16, "notes.txt": "1c" * 16}, {"x": "1d" * 16}
    )
    drive.folders["1d" * 16] = Folder("x", {'the "best".pt': "1e" * 16, "best.pt": "1f" * 16}, {})
    result = CliRunner().invoke(main, ["share", f"https://drive.google.com/drive/folders/{ID}?usp=sharing"])
    assert result.exit_code == 0, result.output
    entries = yaml.safe_load(result.output)["drive"]
    assert {name: entry["file"] for name, entry in entries.items()} == {
        "best": "best.pt", "model-2-late": "2 late.ckpt", "the-best": 'x/the "best".pt', "best-2": "x/best.pt",
    }  # fmt: skip
    assert {entry["folder"] for entry in entries.values()} == {ID}
