import numpy as np
import torch

from tests.networks.small import card
from wheretolook.networks.checkpoint import build_network
from wheretolook.networks.inputs import channel_statistics, model_input, to_input


def test_input_is_normalised_by_channel():
    images = torch.tensor([[[[0, 51, 255]]]], dtype=torch.uint8)
    inputs = to_input(images, mean=(0.5, 0.2, 0.0), std=(0.5, 0.1, 0.25))
    assert inputs.shape == (1, 3, 1, 1)
    assert torch.allclose(inputs.flatten(), torch.tensor([-1.0, 0.0, 4.0]))


def test_input_is_in_channels_last_memory():
    inputs = to_input(torch.zeros(2, 4, 4, 3, dtype=torch.uint8), (0.5,) * 3, (0.2,) * 3)
    assert inputs.dtype == torch.float32
    assert inputs.is_contiguous(memory_format=torch.channels_last)


def test_a_model_reads_arrays_and_tensors_alike_by_the_normalisation_of_its_card():
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), dtype=np.uint8)
    of = card(build_network("looknet", 2, {"width": 4, "depth": 2}), mean=(0.5, 0.2, 0.0), std=(0.5, 0.1, 0.25))
    expected = torch.from_numpy((images / 255 - of.mean) / of.std).float().permute(0, 3, 1, 2)
    for given in (images, images.astype(np.float32), torch.from_numpy(images)):
        torch.testing.assert_close(model_input(of, given, torch.device("cpu")), expected)


def test_statistics_are_numpys_over_the_chosen_images():
    images = np.random.default_rng(0).integers(0, 256, (7, 5, 5, 3), dtype=np.uint8)
    rows = np.array([6, 1, 4])
    mean, std = channel_statistics(images, rows, block=2)
    assert np.allclose(mean, images[rows].mean((0, 1, 2)) / 255)
    assert np.allclose(std, images[rows].std((0, 1, 2)) / 255)


def test_statistics_do_not_depend_on_order_or_blocks():
    images = np.random.default_rng(0).integers(0, 256, (9, 4, 4, 3), dtype=np.uint8)
    assert channel_statistics(images, np.arange(9), block=2) == channel_statistics(images, np.arange(9)[::-1], block=4)


def test_a_channel_that_never_varies_is_not_divided_by_zero():
    _, std = channel_statistics(np.full((2, 3, 3, 3), 255, dtype=np.uint8), np.arange(2))
    assert std == (1 / 255,) * 3
