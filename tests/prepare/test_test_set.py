"""A further test set: every image tests, under the classes that the models know."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.images.made_classes import MASK_VALUES, write_classes, write_image
from wheretolook.base.errors import InputError
from wheretolook.base.prepared import TEST, Prepared, load_prepared
from wheretolook.params.prepare_options import PrepareOptions
from wheretolook.prepare import audit as audits
from wheretolook.prepare.prepare_images import prepare

OPTIONS = PrepareOptions(
    size=32, fit="stretch", group_pattern="", mask_values=MASK_VALUES, val_share=0.2, test_share=0.2, seed=0,
    rare_classes="refuse", on_bad_image="error",
)  # fmt: skip


@pytest.fixture(scope="module")
def trained_on(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("home")
    prepare(write_classes(folder / "raw", {"a": 10, "b": 10, "c": 10}), folder / "prepared", OPTIONS)
    return load_prepared(folder / "prepared")


def test_all_images_test_under_the_models_classes(tmp_path: Path, trained_on: Prepared) -> None:
    for number in range(3):
        write_image(tmp_path / f"raw/images/c/new{number}.png", 500 + number)
    write_image(tmp_path / "raw/images/b/new.png", 600)  # one image of a class, none of another
    audit = prepare(tmp_path / "raw", tmp_path / "prepared", OPTIONS, trained_on)
    data = load_prepared(tmp_path / "prepared")
    assert data.class_names == ("a", "b", "c") and data.labels.tolist() == [1, 2, 2, 2]
    assert set(data.index["split"]) == {TEST} and list(audit["splits"]) == [TEST]
    assert audit["copies_of_training"]["count"] == 0


@pytest.mark.parametrize("most", [audits.MOST_BYTES, 0], ids=["near copies", "equal pixels"])
def test_images_that_models_were_trained_on_are_counted(
    tmp_path: Path, trained_on: Prepared, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audits, "MOST_BYTES", most)
    raw = write_classes(tmp_path / "raw", {"a": 10, "b": 10, "c": 10})
    audit = prepare(raw, tmp_path / "prepared", OPTIONS, trained_on)
    copies = audit["copies_of_training"]
    trained = trained_on.index["image_id"].iloc[trained_on.rows("train")]
    assert set(copies["examples"]) == set(trained) and copies["count"] == len(trained)
    assert copies["compared"] == ("near copies" if most else "equal pixels")


@pytest.mark.parametrize(
    ("kind", "options", "found"),
    [
        ("d", OPTIONS, "d"),
        ("a", replace(OPTIONS, size=16), "16 by stretch"),
        ("a", replace(OPTIONS, fit="pad"), "32 by pad"),
    ],
)
def test_unknown_classes_and_other_sizes_are_refused(
    tmp_path: Path, trained_on: Prepared, kind: str, options: PrepareOptions, found: str
) -> None:
    for name in ("b", kind):
        write_image(tmp_path / f"raw/images/{name}/1.png", 7)
    with pytest.raises(InputError) as error:
        prepare(tmp_path / "raw", tmp_path / "prepared", options, trained_on)
    assert error.value.found == found and not (tmp_path / "prepared").exists()


def test_official_splits_of_the_source_all_become_test(tmp_path: Path, trained_on: Prepared) -> None:
    for split in ("train", "test"):
        for name in ("a", "b"):
            write_image(tmp_path / f"raw/images/{split}/{name}/1.png", 700 + 2 * len(split) + ord(name))
    prepare(tmp_path / "raw", tmp_path / "prepared", OPTIONS, trained_on)
    data = load_prepared(tmp_path / "prepared")
    assert len(data.labels) == 4 and set(data.index["split"]) == {TEST}
    assert np.array_equal(np.unique(data.labels), [0, 1])
