"""What params.yaml may not hold, and what a mapping becomes on a command line."""

import pytest

from wheretolook.base.errors import InputError
from wheretolook.project.params_file import SECTION_NAMES, arguments, read_params

WHOLE = "\n".join(f"{section}: {{}}" for section in SECTION_NAMES if section != "models") + "\nmodels: {a: {seed: 0}}\n"


def test_reads_sections_and_models_in_order() -> None:
    params = read_params(WHOLE.replace("models: {a: {seed: 0}}", "models: {b: {seed: 1}, a: {seed: 0}}"))
    assert list(params["models"]) == ["b", "a"]


@pytest.mark.parametrize(
    ("change", "subject", "found"),
    [
        (("train: {}", "tran: {}"), "params.yaml", "the unknown section 'tran'"),
        (("train: {}\n", ""), "params.yaml: section 'train'", "none"),
        (("train: {}", "train: 3"), "params.yaml: section 'train'", "int"),
        (("train: {}", "train: {a: 1, a: 2}"), "params.yaml", 'found duplicate key "a"'),
        (("train: {}", "train: {a: null}"), "params.yaml: train.a", "null"),
        (("train: {}", "train: {a: {b: 1}}"), "params.yaml: train.a", "dict"),
        (("train: {}", "train: {1: 1}"), "params.yaml: train", "the key 1"),
        (("{a: {seed: 0}}", "{a.b: {seed: 0}}"), "params.yaml: models", "the name 'a.b'"),
        (("{a: {seed: 0}}", "{a/b: {seed: 0}}"), "params.yaml: models", "the name 'a/b'"),
        (("{a: {seed: 0}}", "{12: {seed: 0}}"), "params.yaml: models", "the name 12"),
        (("{a: {seed: 0}}", "{'12': {seed: 0}}"), "params.yaml: models", "the name '12'"),
        (("{a: {seed: 0}}", "{true: {seed: 0}}"), "params.yaml: models", "the name True"),
        (("{a: {seed: 0}}", "{a: {seed: 0}, A: {seed: 1}}"), "params.yaml: models", "'A', which 'models' already has"),
        (("{a: {seed: 0}}", "{a: 3}"), "params.yaml: models.a", "3"),
        (("drive: {}", "drive: {a: {id: x}}"), "params.yaml: drive", "'a', which 'models' already has"),
        (("{a: {seed: 0}}", "{}"), "params.yaml: models and drive", "none"),
        (("train: {}", "train: ["), "params.yaml", "while parsing"),
        (("train: {}", "train: {}\nsync: {timeout: 60}"), "params.yaml: sync", "one, from an earlier version"),
    ],
)
def test_refuses(change: tuple[str, str], subject: str, found: str) -> None:
    text = WHOLE.replace(*change)
    assert text != WHOLE
    with pytest.raises(InputError) as error:
        read_params(text)
    assert error.value.subject == subject and found in error.value.found


def test_the_old_section_names_the_variables_that_replace_it() -> None:
    with pytest.raises(InputError) as error:
        read_params(f"{WHOLE}sync: {{}}\n")
    assert "WHERETOLOOK_TIMEOUT" in error.value.hint and "WHERETOLOOK_RETRIES" in error.value.hint


def test_refuses_a_list_that_a_model_would_only_append_to() -> None:
    text = WHOLE.replace("train: {}", "train: {layers: [x]}").replace("{seed: 0}", "{layers: [y]}")
    with pytest.raises(InputError) as error:
        read_params(text)
    assert error.value.subject == "params.yaml: models.a.layers"


def test_arguments_are_written_as_dvc_writes_them() -> None:
    values = {"epochs": 8, "rate": 0.003, "augment": True, "flip": False, "methods": ["cam", "gradcam"], "name": ""}
    assert arguments(values) == [
        *("--epochs", "8", "--rate", "0.003", "--augment", "--no-flip"),
        *("--methods", "cam", "--methods", "gradcam", "--name", ""),
    ]
