"""`wheretolook look`, as a person types it."""

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tests.cams.made import SIZE
from tests.networks.made_models import small_card, small_network
from wheretolook.base.files import sha256_of
from wheretolook.cams.methods import METHODS
from wheretolook.cli import look_command as cli_look
from wheretolook.cli.main import main
from wheretolook.look import map_pictures as look_module
from wheretolook.networks.checkpoint import save_model


def predicted(done):
    """The predicted class of each image, from the table."""
    return [line.split()[1] for line in done.output.splitlines()[1:3]]


def test_the_last_layers_cam_of_the_predicted_class_is_the_default(look, tmp_path):
    done, files = look()
    assert done.exit_code == 0, done.output
    a, b = predicted(done)
    assert files == [f"a.cam.block3.{a}.npy", f"a.cam.block3.{a}.png", f"b.cam.block3.{b}.npy", f"b.cam.block3.{b}.png"]
    values = np.load(tmp_path / "out" / files[0])
    assert values.shape == (4, 4) and values.dtype == np.float32
    with Image.open(tmp_path / "out" / files[1]) as picture:
        assert picture.size == (448, 54 + 358)  # 50 x 40 pixels, under a title


def test_the_table_gives_each_images_scores(look):
    done, _ = look()
    lines = done.output.splitlines()
    assert lines[0].split() == ["image", "predicted", "cat", "dog"]
    scores = [float(word) for word in lines[1].split()[2:]]
    assert sum(scores) == pytest.approx(1, abs=2e-3)
    assert lines[-1] == f"2 pictures and as many maps in {lines[-1].split()[-1]}"


def test_every_layer_and_every_class(look):
    _, files = look("--layer", "all", "--class", "all", images=("a.png",))
    assert [name for name in files if name.endswith("npy")] == sorted(
        f"a.cam.block{n}.{name}.npy" for n in (1, 2, 3) for name in ("cat", "dog")
    )


def test_a_layer_without_a_trained_head_gets_gradcam(look):
    _, files = look("--layer", "block1", "--class", "dog", images=("a.png",), model="last")
    assert files == ["a.gradcam.block1.dog.npy", "a.gradcam.block1.dog.png"]


@pytest.mark.parametrize("words", [(), ("--arrays",)])
def test_layers_that_cannot_give_a_methods_maps_are_named(look, words):
    words = ("--layer", "all", "--method", "gradcam", *words)
    done, _ = look(*words, "--method", "cam", model="last")
    assert done.exit_code == 0, done.output
    assert done.stderr.splitlines() == [
        "cam: skipped block1, block2 (no trained linear head on the layer's pooled feature maps); gradcam, for "
        "example, works at every layer"
    ]
    assert look(*words, model="last")[0].stderr == look(*words, "--method", "cam")[0].stderr == ""
    assert look("--layer", "all", model="last")[0].stderr == ""


@pytest.mark.parametrize("arrays", [(), ("--arrays",)])
def test_an_image_becomes_a_square_as_in_the_models_training(look, tmp_path, arrays):
    own = {"arguments": {"width": 4, "depth": 2}, "class_names": ("cat", "dog")}
    scores = {}
    for fit in ("pad", None):
        save_model(tmp_path / f"{fit}.safetensors", small_network(), small_card(fit=fit, **own))
        for word in ("pad", "crop", "stretch", None):
            done, _ = look(*arrays, *(("--fit", word) if word else ()), model=fit)
            assert done.exit_code == 0, done.output
            table = tmp_path / ("out/arrays" if arrays else "out") / "predictions.csv"
            scores[fit, word] = table.read_text(encoding="utf-8")
            differs = bool(fit) and word in ("crop", "stretch")
            assert done.stderr.startswith(f"--fit {word} differs") if differs else done.stderr == ""
    assert scores["pad", None] == scores["pad", "pad"] != scores["pad", "stretch"]
    assert scores[None, None] == scores[None, "stretch"]


def test_methods_are_repeated_and_those_that_know_no_class_give_one_map(look):
    words = ("--method", "layercam", "--method", "activation", "--class", "all")
    _, files = look(*words, images=("a.png",))
    expected = ["a.activation.block3.npy", "a.layercam.block3.cat.npy", "a.layercam.block3.dog.npy"]
    assert [name for name in files if name.endswith("npy")] == expected


def test_images_of_the_same_name_are_distinguished_by_their_folders(look, tmp_path):
    (tmp_path / "other").mkdir()
    Image.new("RGB", (SIZE, SIZE)).save(tmp_path / "other/a.png")
    done, files = look("--class", "cat", images=("a.png", "other/a.png"))
    here = tmp_path.name
    expected = [f"{here}_a.cam.block3.cat.npy", "other_a.cam.block3.cat.npy"]
    assert [name for name in files if name.endswith("npy")] == sorted(expected)
    assert [line.split()[0] for line in done.output.splitlines()[1:3]] == [f"{here}/a", "other/a"]


def test_a_folder_means_the_images_below_it_without_pictures_in_out(look, tmp_path):
    for _ in range(2):
        done, files = look("--class", "cat", images=(".",))
        assert done.exit_code == 0, done.output
        assert [name for name in files if name.endswith("png")] == ["a.cam.block3.cat.png", "b.cam.block3.cat.png"]


def test_what_is_named_twice_is_taken_once(look):
    words = ("--class", "cat", "--layer", "block1", "--method", "gradcam")
    done, files = look(*words, *words, images=("a.png",))
    assert done.exit_code == 0, done.output
    assert files == ["a.gradcam.block1.cat.npy", "a.gradcam.block1.cat.png"]


@pytest.mark.parametrize(
    ("names", "files"),
    [
        (("a b", "a_b"), ["a.cam.block2.a_b-1", "a.cam.block2.a_b-2"]),
        (("../x", "é" * 120), ["a.cam.block2..._x", f"a.cam.block2.{'é' * 25}~"]),
    ],
)
def test_class_names_that_make_no_file_names_stay_distinct(look, tmp_path, names, files):
    network = small_network()
    save_model(tmp_path / "odd.safetensors", network, small_card(class_names=names))
    done, written = look("--class", "all", images=("a.png",), model="odd")
    assert done.exit_code == 0, done.output
    assert len(written) == 4
    assert all(any(name.startswith(file) for name in written) for file in files)


def test_image_names_that_make_no_file_names_leave_the_others_alone(look, tmp_path):
    long, odd = f"{'x' * 240}.png", "c\r\x1b[31m.png"
    for name in (long, odd):
        (tmp_path / name).write_bytes((tmp_path / "a.png").read_bytes())
    (tmp_path / "cut\x1b[31m.png").write_bytes(b"no image")
    done, files = look("--class", "cat", images=(long, odd, "a.png", "cut\x1b[31m.png"))
    assert "1 of 4 files could not be read as images" in done.output
    assert len(files) == 6 and "c___31m.cam.block3.cat.png" in files
    table = (tmp_path / "out/predictions.csv").read_bytes().decode()
    assert "\x1b" not in done.output + table
    assert len(list(csv.reader(table.splitlines()))) == 4


def test_predictions_are_written_as_csv(look, tmp_path):
    done, _ = look()
    with (tmp_path / "out/predictions.csv").open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["image", "path", "predicted", "cat", "dog"]
    assert [row[1] for row in rows] == [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    assert [[row[0], row[2]] for row in rows] == [line.split()[:2] for line in done.output.splitlines()[1:3]]
    for row in rows:
        scores = dict(zip(head[3:], map(float, row[3:]), strict=True))
        assert max(scores, key=scores.get) == row[2] and sum(scores.values()) == pytest.approx(1, abs=2e-6)


def test_files_that_are_no_images_are_skipped_and_counted(look, tmp_path):
    (tmp_path / "Thumbs.db").write_bytes(b"no image")
    (tmp_path / "cut.png").write_bytes((tmp_path / "a.png").read_bytes()[:900])
    done, files = look("--class", "cat", images=("cut.png", "a.png", "Thumbs.db", "none.png", "b.png"))
    assert done.exit_code == 1
    assert [name for name in files if name.endswith("npy")] == ["a.cam.block3.cat.npy", "b.cam.block3.cat.npy"]
    for name, reason in (
        ("cut.png", "truncated"),
        ("Thumbs.db", "no image"),
        ("none.png", "expected an image, found no"),
    ):
        assert [reason in line for line in done.stderr.splitlines() if name in line] == [True]
    assert done.stderr.splitlines()[-1] == "Error: 3 of 5 files could not be read as images"


def test_many_images_go_batch_by_batch_and_are_counted_by_class(look, tmp_path, monkeypatch):
    (tmp_path / "many").mkdir()
    for k in range(7):
        (tmp_path / f"many/{k}.png").write_bytes((tmp_path / ("a.png" if k % 2 else "b.png")).read_bytes())
    _, files = look("--class", "dog", images=("many",))
    monkeypatch.setattr(cli_look, "LISTED", 6)
    monkeypatch.setattr(look_module, "BATCH", 3)
    whole = {name: np.load(tmp_path / "out" / name) for name in files if name.endswith("npy")}
    done, again = look("--class", "dog", images=("many",))
    assert again == files
    for name, values in whole.items():
        np.testing.assert_allclose(np.load(tmp_path / "out" / name), values, atol=1e-6)
    lines = done.output.splitlines()
    assert sum(int(line.split()[1]) for line in lines if line.endswith(("image", "images"))) == 7
    assert f"Predictions of all images are in {tmp_path / 'out/predictions.csv'}" in lines
    assert len((tmp_path / "out/predictions.csv").read_text(encoding="utf-8").splitlines()) == 8


def test_a_contrast_is_a_classs_map_less_the_mean_of_the_others(look, tmp_path):
    words = ("--class", "all", "--method", "gradcam", "--method", "cam")
    look(*words, images=("a.png",))
    look(*words, "--contrast", images=("a.png",))
    for method in ("cam", "gradcam"):
        cat, dog = (np.load(tmp_path / f"out/a.{method}.block3.{name}.npy") for name in ("cat", "dog"))
        for name, expected in (("cat", cat - dog), ("dog", dog - cat)):
            found = np.load(tmp_path / f"out/a.{method}.block3.{name}.contrast.npy")
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, expected, atol=1e-5)


def test_finer_cam_is_a_class_against_the_most_similar_ones(look, tmp_path):
    words = ("--class", "all", "--method", "cam")
    look(*words, images=("a.png",))
    run, _ = look(*words, "--finer-cam", "--json", images=("a.png",))
    assert json.loads(run.stdout)["finer_cam"] is True
    cat, dog = (np.load(tmp_path / f"out/a.cam.block3.{name}.npy") for name in ("cat", "dog"))
    for name, expected in (("cat", cat - dog), ("dog", dog - cat)):  # of two classes, the other one
        np.testing.assert_allclose(np.load(tmp_path / f"out/a.cam.block3.{name}.finer.npy"), expected, atol=1e-5)


def test_what_a_killed_look_left_is_removed_and_what_others_left_is_not(look, tmp_path):
    left, film = "a.cam.block3.cat.png.part-1a2b3c", "film.png.part-1a2b3c"
    (tmp_path / "out").mkdir()
    for name in (left, f"{left}.lock", film):
        (tmp_path / "out" / name).write_bytes(b"")
    _, files = look("--class", "cat")
    assert [name for name in files if "part" in name] == [film]


def test_the_same_look_gives_the_same_bytes(look, tmp_path):
    _, files = look()
    before = [sha256_of(tmp_path / "out" / name) for name in files]
    look()
    assert [sha256_of(tmp_path / "out" / name) for name in files] == before


def test_help_names_every_method():
    text = " ".join(CliRunner().invoke(main, ["look", "--help"]).output.split())
    named = text.partition("--method TEXT ")[2].partition(". Can be repeated")[0]
    assert {word.strip(",;") for word in named.split()} >= set(METHODS)


def test_json_is_the_manifest_beside_the_pictures(look, tmp_path):
    done, files = look("--json", "--box", "0.2", "--layer", "all", "--class", "all")
    printed, manifest = json.loads(done.stdout), json.loads((tmp_path / "out/manifest.json").read_text())
    assert printed == manifest
    assert manifest["model"] == {"name": "every", "sha256": sha256_of(tmp_path / "every.safetensors")}
    assert sorted(f for image in manifest["images"] for m in image["maps"] for f in (m["picture"], m["map"])) == files
    for image in manifest["images"]:
        assert image["size"] == [50, 40] and sum(image["scores"]) == pytest.approx(1, abs=1e-4)
        assert image["predicted"] == manifest["class_names"][int(np.argmax(image["scores"]))]
        for entry in image["maps"]:
            values = np.load(tmp_path / "out" / entry["map"])
            assert entry["shape"] == list(values.shape)
            assert (entry["least"], entry["most"]) == (values.min(), values.max())
            assert ("box" in entry) == (values.max() > 0)
            if "box" in entry:
                left, top, right, bottom = entry["box"]
                assert 0 <= left < right <= 50 and 0 <= top < bottom <= 40


def test_json_of_arrays_lists_the_scores_and_the_folder(look, tmp_path):
    done, _ = look("--json", "--arrays")
    printed = json.loads(done.stdout)
    assert printed["arrays"] == str(tmp_path / "out/arrays")
    assert [image["image"] for image in printed["images"]] == ["a", "b"]
    assert look("--arrays", "--box", "0.2")[0].exit_code == 1


def test_a_manifest_of_another_program_is_kept(look, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/manifest.json").write_text("{}")
    done, files = look()
    assert done.exit_code == 1 and "Choose another --out" in done.output
    assert files == [] and (tmp_path / "out/manifest.json").read_text() == "{}"
