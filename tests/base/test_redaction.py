"""No user, password, signature or token of an address reaches a terminal, a report or the page."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from stages.check import check
from stages.fetch import fetch
from stages.sync import sync
from tests.pipeline.code_dependencies import ROOT
from wheretolook.base.errors import InputError, redacted

SECRET = "hunter2"
# Nothing listens on the discard port: each of them fails at once.
ADDRESSES = (
    f"http://anna:{SECRET}@127.0.0.1:9/cells.zip",
    f"http://{SECRET}@127.0.0.1:9/cells.zip",
    f"http://127.0.0.1:9/cells.zip?part=2&X-Amz-Signature={SECRET}&X-Amz-Credential={SECRET}",
    f"http://127.0.0.1:9/cells.zip?sv=1&sig={SECRET}",
    f"http:///cells.zip?access_token={SECRET}",
    f"/no/such/folder/http://anna:{SECRET}@host/x",
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://anna:pw@host/a", "https://***@host/a"),
        ("see https://pw@host, then", "see https://***@host, then"),
        ("https:/anna:p@ss@host/a", "https:/***@host/a"),  # as a path object writes it
        ("s3://KEY:SECRET@bucket/a?part=2", "s3://***@bucket/a?part=2"),
        ("http://h/a?token=x&b=1#id_token=y", "http://h/a?token=***&b=1#id_token=***"),
        ("HTTPS://h/?X-Goog-Signature=x&X-Goog-Date=1", "HTTPS://h/?X-Goog-Signature=***&X-Goog-Date=1"),
        ("'http://h/a?api_key=x'; next", "'http://h/a?api_key=***'; next"),
        ("Max retries exceeded with url: /a?sig=x (Caused", "Max retries exceeded with url: /a?sig=*** (Caused"),
    ],
)
def test_secrets_are_hidden_and_the_rest_stays(text: str, shown: str) -> None:
    assert redacted(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "https://drive.google.com/file/d/1AbC/view?usp=sharing&resourcekey=0-x",
        "https://host/icon@2x.png?part=2",
        "C:/a@b, anna@host, 3 @ 4",
        "train and models.last-0: Invalid value for '--epochs'",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text


def test_every_field_of_an_error_hides_them() -> None:
    error = InputError(*[ADDRESSES[0]] * 4)
    assert SECRET not in repr((error.args, vars(error), str(error)))


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_stage_prints_or_writes_one(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    params["fetch"] = {"source": "archive", "url": address, "sha256": "", "root": "", "masks": ""}
    params["drive"] = {"x": {"url": address, "sha256": ""}}
    YAML().dump(params, Path("params.yaml"))
    checked = CliRunner().invoke(check, [])
    assert checked.exit_code == 0, checked.output
    assert "fetch.url has a secret" in checked.stderr and "drive.x.url has a secret" in checked.stderr
    assert json.loads(Path("reports/parameters.json").read_text("utf-8"))["drive"]["x"]["url"] != address
    archive = ["--source=archive", "--sha256=", "--root=", "--masks=", "--timeout=1", "--retries=1"]
    runs = [CliRunner().invoke(fetch, [*archive, f"--{key}={address}"]) for key in ("url", "path")]
    runs.append(CliRunner().invoke(sync, ["x", "--timeout=1", "--retries=1", f"--url={address}"]))
    assert [run.exit_code for run in runs] == [1, 1, 1]
    assert not [run.output for run in (checked, *runs) if SECRET in run.output]
    left = {path: path.read_text("utf-8") for path in tmp_path.rglob("*") if path.is_file()}
    assert [path.name for path, text in left.items() if SECRET in text or SECRET in path.name] == ["params.yaml"]
