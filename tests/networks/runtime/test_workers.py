"""Blocks worked on by other processes: the same results, in order, and the same refusals."""

import os
import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from wheretolook.base.errors import InputError
from wheretolook.cams.engine import build_engine
from wheretolook.cams.stream import ImageFiles, Work, create_arrays, fill_arrays
from wheretolook.networks.inputs import to_input
from wheretolook.networks.layered import LookNet
from wheretolook.networks.layers.layout import NotFinite
from wheretolook.networks.runtime.processes import Ranks, in_workers

BLOCKS = [slice(0, 3), slice(3, 6), slice(6, 7)]
SIZE = 32


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (7, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture
def files(tmp_path, images):
    paths = [tmp_path / f"{i}.png" for i in range(len(images))]
    for path, pixels in zip(paths, images, strict=True):
        Image.fromarray(pixels).save(path)
    return ImageFiles(paths, SIZE, "stretch")


def decode(files: ImageFiles, rows: slice) -> torch.Tensor:
    return torch.from_numpy(files[rows])


def test_each_block_comes_in_its_turn(files, images):
    found = list(in_workers(partial(decode, files), BLOCKS, count=2))
    assert [len(block) for block in found] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate(found), images)


def test_blocks_are_taken_in_the_requested_order(files, images):
    found = list(in_workers(partial(decode, files), BLOCKS[::-2], count=2))
    np.testing.assert_array_equal(np.concatenate(found), images[[6, 0, 1, 2]])


def test_the_work_is_done_by_other_processes():
    assert os.getpid() not in set(in_workers(lambda rows: os.getpid(), BLOCKS, count=2))


def test_a_file_that_is_no_image_is_refused_by_its_name_alone(files):
    files.paths[4].write_text("no image")
    with pytest.raises(InputError, match=r"^\S*4\.png: ") as refused:
        list(in_workers(partial(decode, files), BLOCKS, count=2))
    assert "Traceback" not in str(refused.value)


def fill(folder: Path, images: np.ndarray | ImageFiles, methods: list[str], network: nn.Module) -> dict[str, bytes]:
    folder.mkdir()
    engine = build_engine(network, methods, ["block1", "block2"], (SIZE, SIZE), fast=True)
    work = Work(engine, ("block2",), np.arange(2), lambda logits, rows: logits.new_zeros(len(logits), 1).long(), 1)
    create_arrays(folder, work, len(images))
    put = partial(to_input, mean=(0.5,) * 3, std=(0.25,) * 3)
    fill_arrays(folder, work, images, put, 3, Ranks(0, 1, 0, torch.device("cpu")))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("methods", [["cam"], ["cam", "gradcam"]])
def test_files_give_the_bytes_that_the_array_of_their_images_gives(methods, files, images, tmp_path):
    network = LookNet(2, width=4, depth=2).eval()
    assert fill(tmp_path / "files", files, methods, network) == fill(tmp_path / "array", images, methods, network)


def test_nan_in_a_worker_is_refused_as_it_is_here(files, tmp_path):
    network = LookNet(2, width=4, depth=2).eval()
    nn.init.constant_(network.classifier[-1].weight, float("inf"))
    with pytest.raises(NotFinite, match="number 0, number 1, number 2"):
        fill(tmp_path / "files", files, ["cam"], network)


def test_what_is_not_finite_survives_the_way_from_another_process():
    error = NotFinite("cam.block4", [3, 4], ["a.png"])
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.places, again.names) == (str(error), [3, 4], ["a.png"])
