"""What params.yaml may not hold, and what a mapping becomes on a command line."""

import pytest

from wheretolook.base.errors import InputError
from wheretolook.project.params_file import SECTIONS, arguments, read_params

WHOLE = "\n".join(f"{section}: {{}}" for section in SECTIONS if section != "models") + "\nmodels: {a: {seed: 0}}\n"


def test_reads_sections_and_models_in_order() -> None:
    params = read_params(WHOLE.replace("models: {a: {seed: 0}}", "models: {b: {seed: 1}, a: {seed: 0}}"))
    assert list(params["models"]) == ["b", "a"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("train: {}", "tran: {}"), r"unknown section 'tran'.*did you mean 'train'"),
        (("train: {}\n", ""), r"section 'train' is missing.*`train: \{\}`"),
        (("train: {}", "train: 3"), r"'train': expected a mapping, found int"),
        (("train: {}", "train: {a: 1, a: 2}"), r"without doubled keys"),
        (("train: {}", "train: {a: null}"), r"train\.a: null .* write ''"),
        (("train: {}", "train: {a: {b: 1}}"), r"train\.a: expected text, a number, true or false, found dict"),
        (("train: {}", "train: {1: 1}"), r"train: bad key 1"),
        (("{a: {seed: 0}}", "{a.b: {seed: 0}}"), r"models: bad name 'a\.b'.*rename"),
        (("{a: {seed: 0}}", "{a/b: {seed: 0}}"), r"models: bad name 'a/b'"),
        (("{a: {seed: 0}}", "{12: {seed: 0}}"), r"models: bad name 12"),
        (("{a: {seed: 0}}", "{'12': {seed: 0}}"), r"models: bad name '12'"),
        (("{a: {seed: 0}}", "{true: {seed: 0}}"), r"models: bad name True"),
        (("{a: {seed: 0}}", "{a: {seed: 0}, A: {seed: 1}}"), r"'A' stands in 'models' already"),
        (("{a: {seed: 0}}", "{a: 3}"), r"models\.a: expected a mapping of its own values, found 3"),
        (("drive: {}", "drive: {a: {id: x}}"), r"drive: the name 'a' stands in 'models' already"),
        (("{a: {seed: 0}}", "{}"), r"no model in `models` or `drive`"),
        (("train: {}", "train: ["), r"expected YAML"),
    ],
)
def test_refuses(change: tuple[str, str], message: str) -> None:
    text = WHOLE.replace(*change)
    assert text != WHOLE
    with pytest.raises(InputError, match=f"(?s){message}"):
        read_params(text)


def test_refuses_a_list_that_a_model_would_only_append_to() -> None:
    text = WHOLE.replace("train: {}", "train: {layers: [x]}").replace("{seed: 0}", "{layers: [y]}")
    with pytest.raises(InputError, match="appended, not replaced"):
        read_params(text)


def test_arguments_are_written_as_dvc_writes_them() -> None:
    values = {"epochs": 8, "rate": 0.003, "augment": True, "flip": False, "methods": ["cam", "gradcam"], "name": ""}
    assert arguments(values) == [
        *("--epochs", "8", "--rate", "0.003", "--augment", "--no-flip"),
        *("--methods", "cam", "--methods", "gradcam", "--name", ""),
    ]
