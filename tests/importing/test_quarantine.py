"""Files that can't be trusted are opened in another process, with so much memory and time."""

import os
import signal
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from tests.importing.forked import forked_quarantine
from tests.networks.made_models import foreign_state, small_card, small_network, write_model
from wheretolook.base.errors import InputError
from wheretolook.importing.foreign import Description, convert_foreign
from wheretolook.importing.import_model import check_own, import_model
from wheretolook.importing.quarantine import MEBIBYTE, Bounds, bounds_for, judge
from wheretolook.networks.checkpoint import save_model

LOOKNET = Description("looknet", {"width": 4, "depth": 2}, ("infected", "uninfected"), 32)
BOUNDS = Bounds(memory=256 * MEBIBYTE, seconds=20)
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to its memory")


class _RunsCode:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.mark}",)


def test_a_pickle_that_would_run_code_ends_as_a_refusal_and_nothing_ran(tmp_path: Path) -> None:
    torch.save({"state_dict": _RunsCode(tmp_path / "ran")}, tmp_path / "evil.pth")
    with pytest.raises(InputError, match="Nothing was run"):
        convert_foreign(tmp_path / "evil.pth", "evil", tmp_path / "out" / "m.safetensors", LOOKNET, BOUNDS)
    assert not (tmp_path / "ran").exists()
    assert list((tmp_path / "out").iterdir()) == []


@linux_only
def test_a_file_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pth"
    torch.save({"w": torch.zeros(60_000_000)}, tmp_path / "plain.pth")
    with zipfile.ZipFile(tmp_path / "plain.pth") as plain, zipfile.ZipFile(path, "w") as packed:
        for info in plain.infolist():
            packed.writestr(info.filename, plain.read(info), zipfile.ZIP_DEFLATED, compresslevel=1)
    assert path.stat().st_size < 1_500_000
    with pytest.raises(InputError, match="expected a file that loads within 160 MiB of memory, found more"):
        convert_foreign(path, "x", tmp_path / "m.safetensors", LOOKNET, Bounds(160 * MEBIBYTE, 20))
    assert not (tmp_path / "m.safetensors").exists()


def test_a_file_that_would_take_for_ever_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "slow.pth"
    # A pickle that notes one None under one number, twelve million times.
    path.write_bytes(b"\x80\x02N" + b"q\x00" * 12_000_000 + b".")
    with pytest.raises(InputError, match="a timeout after 1 s of processor time"):
        convert_foreign(path, "x", tmp_path / "m.safetensors", LOOKNET, Bounds(256 * MEBIBYTE, 1))


@pytest.mark.parametrize(
    ("code", "errors", "found"),
    [
        (1, "Traceback\nRuntimeError: DefaultCPUAllocator: can't allocate memory", "more ("),
        (1, "Traceback\nMemoryError", "more ("),
        (1, "Traceback\nIndexError: pop from empty list", "an error (IndexError: pop from empty list)"),
        (1, "", "no message"),
        (-9, "", "signal 9 (SIGKILL)"),
        (-11, "", "signal 11 (SIGSEGV)"),
    ],
)
def test_every_other_exit_status_is_an_input_error(code: int, errors: str, found: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        judge("x.pth", BOUNDS, code, "", errors)
    assert found in refused.value.found


def test_a_timeout_does_not_blame_the_file() -> None:
    with pytest.raises(InputError) as refused:
        judge("x.pth", BOUNDS, -signal.SIGXCPU, "", "")
    assert "a timeout" in refused.value.found and refused.value.hint.startswith("Run it again")


def test_only_the_files_own_processor_time_counts(tmp_path: Path) -> None:
    # The libraries alone take longer than the file is given.
    torch.save(foreign_state(), tmp_path / "good.pth")
    convert_foreign(tmp_path / "good.pth", "x", tmp_path / "m.safetensors", LOOKNET, Bounds(BOUNDS.memory, 1))
    assert (tmp_path / "m.safetensors").exists()


def test_a_card_whose_network_would_be_absurd_is_refused_before_it_is_built(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    save_model(path, small_network(), small_card(arguments={"width": 10**9, "depth": 2}))
    with forked_quarantine(), pytest.raises(InputError, match=r"expected values up to .* as arguments in the card"):
        check_own(path)


def test_what_needs_a_description_says_so_and_what_has_one_too(tmp_path: Path) -> None:
    torch.save(small_network().state_dict(), tmp_path / "foreign.pth")
    with pytest.raises(InputError, match=r"^drive\.f: expected a model file .*, found a file without a card"):
        import_model(tmp_path / "foreign.pth", "drive.f", tmp_path / "m.safetensors", None)
    own = write_model(tmp_path / "own.safetensors")
    with pytest.raises(InputError, match=r"found a model file of this project, which has a card\. Remove architecture"):
        import_model(own, "drive.own", tmp_path / "m.safetensors", LOOKNET)
    assert not (tmp_path / "m.safetensors").exists()


def test_bytes_beyond_the_tensors_are_refused(tmp_path: Path) -> None:
    own = write_model(tmp_path / "own.safetensors")
    own.write_bytes(own.read_bytes() + b"more")
    with pytest.raises(InputError) as refused:
        import_model(own, "drive.own", tmp_path / "m.safetensors", None)
    assert refused.value.subject == "drive.own" and "bytes after the last tensor" in refused.value.found


def test_an_error_names_the_origin_and_not_the_path_even_if_one_is_part_of_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Replacing the path "m" in the message would garble every other m.
    monkeypatch.chdir(tmp_path)
    save_model(Path("m"), small_network(), small_card(arguments={"width": 4, "depth": 3}))
    with forked_quarantine(), pytest.raises(InputError) as refused:
        import_model(Path("m"), "drive.mine (m)", Path("out.safetensors"), None)
    assert refused.value.subject == "drive.mine (m)"
    assert refused.value.expected == "the layers of looknet: block1, block2, block3"


def test_bounds_grow_with_the_file(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(8 * MEBIBYTE))
    assert bounds_for(tmp_path / "large") == Bounds((1024 + 48) * MEBIBYTE, 32)


def test_a_card_that_names_code_which_is_not_of_the_repository_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    save_model(path, small_network(), small_card(architecture="subprocess:check_output", code={"subprocess.py": "0"}))
    with forked_quarantine(), pytest.raises(InputError) as refused:
        check_own(path)
    assert "a file of this repository" in refused.value.expected
