"""Which images are meant, and what each is called."""

from pathlib import Path

import pytest

from wheretolook.look.image_files import distinct_names, file_name, find_images


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a/0.png"], ["0"]),
        (["a/0.png", "b/1.png"], ["0", "1"]),
        (["a/0.png", "b/0.png", "b/1.png"], ["a/0", "b/0", "1"]),
        (["x/a/0.png", "y/a/0.png", "b/0.png"], ["x/a/0", "y/a/0", "b/0"]),
        (["a/0.png", "a/0.jpg"], ["0.png", "0.jpg"]),
        (["a/0.png", "b/0.png", "a_0.png"], ["a/0-1", "b/0", "a_0-2"]),
        (["a/0 1.png", "a/0_1.png"], ["0 1-1", "0_1-2"]),
        (["a/0 1.png", "a/0_1.png", "a/0_1-1.png"], ["0 1-2", "0_1-3", "0_1-1"]),
        (["a/0\r.png", "a/0\x1b.png", "a/\udcff.png"], ["0?-1", "0?-2", "?"]),
    ],
)
def test_a_name_has_as_many_folders_as_tell_it_from_others(tmp_path, monkeypatch, paths, names):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert distinct_names([Path(path) for path in paths]) == names
    assert distinct_names([Path(path).absolute() for path in paths]) == names
    assert len({file_name(name) for name in names}) == len(names)


def test_a_folder_gives_its_images_sorted_without_junk_or_files_in_out(tmp_path):
    junk = ("._a.jpg", "__MACOSX/a.jpg", "@eaDir/a.jpg/SYNOFILE_THUMB_M.jpg")
    for name in ("b.PNG", "a.jpg", "below/c.tif", "notes.txt", *junk, "look/a.cam.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_images([tmp_path, tmp_path / "a.jpg", tmp_path / "notes.txt"], tmp_path / "look")
    assert [path.relative_to(tmp_path).as_posix() for path in found] == ["a.jpg", "b.PNG", "below/c.tif", "notes.txt"]


def test_pictures_may_go_above_the_images(tmp_path):
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells/a.png").touch()
    assert find_images([tmp_path / "cells"], tmp_path) == [tmp_path / "cells/a.png"]


def test_long_parts_of_file_names_are_cut_and_stay_distinct():
    names = ["é" * 200, "é" * 199 + "e", "é" * 200 + "e"]
    files = [file_name(name, 60) for name in names]
    assert len(set(files)) == 3 and all(len(file.encode()) <= 60 and file.startswith("é" * 25) for file in files)
    assert file_name("x" * 60, 60) == "x" * 60
