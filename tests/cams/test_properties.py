"""What must hold of maps whatever the network: completeness, equivariance, independence of the batch."""

import numpy as np
import pytest
import torch

from tests.cams.small import livened, noise, small_network
from wheretolook.cams.explain import explain
from wheretolook.networks.checkpoint import build_network

METHODS = ["cam", "gradcam", "gradcam++", "xgradcam", "hirescam", "layercam", "eigencam", "activation"]


def looknet(every=True, classes=3):
    """A looknet with random weights, its side heads trained or not."""
    torch.manual_seed(0)
    network = livened(build_network("looknet", classes, {"width": 8, "depth": 4})).eval()
    for head in network.side_heads.values() if every else []:
        torch.nn.init.normal_(head.weight)
        torch.nn.init.normal_(head.bias)
    return network


@pytest.mark.parametrize("fast", [False, True])
def test_cam_averages_to_logit_minus_bias_for_every_trained_head_and_class(fast):
    network, images = looknet(), noise(5, 48)
    found = explain(network, images, ["cam"], fast=fast)
    assert [layer for _, layer in found.maps] == list(network.layer_names)
    with torch.no_grad():
        logits = network.layer_logits(images)
    for layer, expected in logits.items():
        bias = network.heads[layer].bias.detach().numpy()
        limit = 1e-5 * max(1.0, float(expected.abs().max()))
        np.testing.assert_allclose(found["cam", layer].mean((2, 3)) + bias, expected, rtol=0, atol=limit)
    np.testing.assert_allclose(found.logits, logits["block4"], rtol=0, atol=1e-5)


def test_an_untrained_head_has_no_cam():
    assert [layer for _, layer in explain(looknet(every=False), noise(2, 48), ["cam"]).maps] == ["block4"]


def test_hirescam_and_gradcam_at_a_linear_heads_layer_are_cam_over_the_number_of_places():
    found = explain(looknet(), noise(3, 48), ["cam", "hirescam", "gradcam", "xgradcam"], ["block4"])
    for method in ("hirescam", "gradcam", "xgradcam"):
        np.testing.assert_allclose(found[method, "block4"], found["cam", "block4"] / 9, rtol=1e-5, atol=1e-6)


def test_gradients_at_a_linear_heads_layer_are_the_backward_passs_own():
    network, images, methods = looknet(), noise(3, 48), ["gradcam", "gradcam++", "layercam", "hirescam"]
    known = explain(network, images, methods, ["block4"])
    passed = explain(network, images, methods, ["block3", "block4"])
    for method in methods:
        np.testing.assert_allclose(known[method, "block4"], passed[method, "block4"], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("method", ["cam", "gradcam", "layercam", "hirescam", "activation"])
def test_maps_move_with_the_image_by_whole_strides(method):
    # A picture in the middle of 192 grey pixels, moved by two and three of block4's strides of 16.
    picture, canvas = noise(1, 32)[0], torch.zeros(2, 3, 192, 192)
    canvas[0, :, 64:96, 64:96] = picture
    canvas[1, :, 96:128, 112:144] = picture
    maps = explain(looknet(), canvas, [method], ["block4"])[method, "block4"]
    assert np.ptp(maps[0, 0, 2:8, 2:8]) > 1e-4
    np.testing.assert_allclose(maps[1, :, 4:10, 5:11], maps[0, :, 2:8, 2:8], atol=1e-6)


def test_a_permuted_batch_gives_permuted_maps():
    network, images, order = small_network(), noise(6), [4, 0, 5, 2, 1, 3]
    found = explain(network, images, METHODS)
    permuted = explain(network, images[order], METHODS)
    for pair, maps in found.maps.items():
        np.testing.assert_allclose(permuted[pair], maps[order], rtol=0, atol=1e-6)


def test_the_same_batches_give_the_same_bytes_and_others_the_same_maps():
    network, images = looknet(), noise(7, 48)
    first, again, other = (explain(network, images, METHODS, batch_size=size, fast=True) for size in (4, 4, 3))
    for pair, maps in first.maps.items():
        assert maps.tobytes() == again[pair].tobytes()
        np.testing.assert_allclose(other[pair], maps, rtol=0, atol=1e-6 * max(1, np.abs(maps).max()))


def test_classes_explained_together_have_the_maps_of_each_alone():
    network, images = small_network(), noise()
    together = explain(network, images, METHODS)
    for k in range(4):
        alone = explain(network, images, METHODS, classes=[k])
        for pair, maps in together.maps.items():
            column = maps if maps.shape[1] == 1 else maps[:, k : k + 1]
            np.testing.assert_allclose(alone[pair], column, rtol=0, atol=1e-6)


def test_bfloat16_stays_near_float32():
    network, images = looknet(), noise(8, 48)
    exact, rough = (explain(network, images, METHODS, precision=p, fast=True) for p in ("float32", "bfloat16"))
    for pair, maps in exact.maps.items():
        assert rough[pair].dtype == np.float32
        assert np.corrcoef(maps.ravel(), rough[pair].ravel())[0, 1] > 0.95, pair
