"""What `wheretolook look` refuses: a message for each, and nothing written."""

import os

import pytest


@pytest.mark.parametrize(
    ("words", "images", "message"),
    [
        (("--method", "gradcan"), ("a.png",), "methods: expected one of cam, gradcam"),
        (("--contrast", "--arrays"), ("a.png",), "--arrays: expected no --contrast"),
        (("--finer-cam", "--arrays"), ("a.png",), "--arrays: expected no --contrast or --finer-cam"),
        (("--finer-cam", "--contrast"), ("a.png",), "--finer-cam: expected no --contrast"),
        (("--label", "whiskers"), ("a.png",), "expected the label whiskers"),
        (
            ("--arrays",),
            ("none.png", "every.safetensors"),
            "images: expected at least one image, found none in 2 files",
        ),
        (("--arrays",), ("every.safetensors",), "every.safetensors: no image"),
        (("--layer", "layer4"), ("a.png",), 'layer "layer4": expected one of block1, block2, block3'),
        (("--class", "hen"), ("a.png",), "classes: expected one of cat, dog, found 'hen'"),
        (
            ("--contrast", "--method", "layercam"),
            ("a.png",),
            "--contrast: expected methods that are linear in the class (cam, ",
        ),
        ((), ("every.safetensors",), "every.safetensors: no image"),
        ((), ("pipe.png",), "pipe.png: expected an image, found a pipe, a socket or a device. Save its content"),
        (("--model", "pipe.png"), ("a.png",), "pipe.png: expected a model file, found a pipe, a socket or a device"),
        (("",), ("a.png",), "Invalid value for 'IMAGE...': expected a path, found an empty text"),
        (("--out", ""), ("a.png",), "Invalid value for '--out': expected a path, found an empty text"),
        ((), ("none.png",), "none.png: expected an image, found no such file. Check the name"),
        ((), (), "Missing argument 'IMAGE...'"),
        (("--model", "none.safetensors"), ("a.png",), "none.safetensors: expected a model file, found no such file. "),
        ((), ("none.png", "every.safetensors"), "images: expected at least one image, found none in 2 files"),
        ((), ("empty",), "empty: expected images (.avif, .bmp, "),
        (("--out", "same"), ("same",), "--out same: expected a folder other than that of the images"),
        (("--fit", "squeeze"), ("a.png",), "'squeeze' is not one of 'stretch', 'pad', 'crop'"),
    ],
)
def test_bad_input_ends_with_a_message_and_nothing_written(look, tmp_path, monkeypatch, words, images, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "same").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    done, files = look(*words, images=images)
    assert done.exit_code != 0
    assert message in done.output
    assert "Traceback" not in done.output
    assert files == []


def test_an_image_given_as_a_model_is_refused(look, tmp_path):
    done, _ = look("--model", str(tmp_path / "a.png"))
    assert done.exit_code != 0
    assert "a.png: expected a header of 2 to" in done.output


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("one", "one: expected a model file, found no such file. Available: models/one.safetensors.\n"),
        ("two", "two: expected a model file, found no such file. Available: models/one.safetensors.\n"),
        ("models", "models: expected a model file, found a folder. Available: models/one.safetensors.\n"),
        (
            ".",
            ".: expected a model file, found a folder. Give a file such as models/last-0.safetensors; `dvc repro`",
        ),
    ],
)
def test_a_model_that_is_no_file_is_refused_with_those_there_are(look, tmp_path, monkeypatch, word, message):
    (tmp_path / "models").mkdir()
    (tmp_path / "models/one.safetensors").touch()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path if word != "." else tmp_path / "empty")
    done, files = look("--model", word)
    assert done.exit_code == 1 and files == []
    assert message in done.output
