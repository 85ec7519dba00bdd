"""Layers of the project's networks and of any module: found, named, read in their own layout, with their heads."""

import warnings

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from tests.cams.small import noise, small_network
from wheretolook.base.errors import InputError
from wheretolook.cams.explain import explain
from wheretolook.networks.checkpoint import build_network
from wheretolook.networks.layers.layer import probe_layers

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import torchcam.methods

WITH_CAM = ["resnet18", "densenet121", "efficientnet_b0", "regnet_y_400mf", "swin_t"]
WITHOUT_CAM = ["vgg11", "vit_b_32", "convnext_tiny", "mobilenet_v3_small"]


def built(architecture):
    arguments = {"image_size": 64} if architecture.startswith("vit") else {}
    torch.manual_seed(0)
    return build_network(architecture, 3, arguments).eval()


@pytest.mark.parametrize("architecture", WITH_CAM + WITHOUT_CAM)
def test_cam_is_offered_where_its_identity_holds(architecture):
    network = built(architecture)
    probed = probe_layers(network, None, (3, 64, 64), None)
    assert [layer.name for layer in probed.layers] == list(network.layer_names)
    assert probed.class_count == 3
    assert [layer.name for layer in probed.layers if layer.head] == list(
        network.layer_names[-1:] * (architecture in WITH_CAM)
    )


def test_trained_side_heads_of_a_torchvision_network_have_cams():
    network = built("resnet18")
    nn.init.normal_(network.side_heads["layer2"].weight)
    found = explain(network, noise(2, 64), ["cam"])
    assert [layer for _, layer in found.maps] == ["layer2", "layer4"]
    with torch.no_grad():
        expected = network.layer_logits(noise(2, 64))["layer2"]
    np.testing.assert_allclose(found["cam", "layer2"].mean((2, 3)), expected, atol=1e-5)


@pytest.mark.parametrize("architecture", ["resnet18", "densenet121"])
def test_the_same_weights_as_a_plain_module_give_the_same_maps(architecture):
    network, images = built(architecture), noise(2, 64)
    last = {"resnet18": "layer4", "densenet121": "features"}[architecture]
    ours = explain(network, images, ["cam"])
    plain = explain(network.body, images, ["cam"], [last])
    np.testing.assert_allclose(ours["cam", network.layer_names[-1]], plain["cam", last], atol=1e-6)


def test_a_plain_modules_layers_are_the_last_of_each_resolution():
    found = explain(small_network(), noise(2, 16), ["gradcam"])
    assert {layer: maps.shape[2:] for (_, layer), maps in found.maps.items()} == {"stage1": (8, 8), "stage3": (4, 4)}


def test_without_methods_each_layer_gets_its_cam_or_else_gradcam():
    assert list(explain(small_network(), noise()).maps) == [("gradcam", "stage1"), ("cam", "stage3")]


def vision_transformer():
    torch.manual_seed(0)
    network = torchvision.models.VisionTransformer(32, 8, 3, 2, 16, 32, num_classes=4).eval()
    nn.init.normal_(network.heads.head.weight)
    return network


def swin():
    torch.manual_seed(0)
    return torchvision.models.SwinTransformer([4, 4], 12, [2, 2], [2, 2], [2, 2], num_classes=4).eval()


@pytest.mark.parametrize(
    ("network", "layer", "to_maps"),
    [
        (
            vision_transformer(),
            "encoder.layers.encoder_layer_1",
            lambda t: t[:, 1:].transpose(1, 2).unflatten(2, (4, 4)),
        ),
        (swin(), "features.1", lambda t: t.permute(0, 3, 1, 2)),
    ],
    ids=["vit", "swin"],
)
def test_token_networks_give_torchcams_maps(network, layer, to_maps):
    images, classes = noise(2, 32), [2, 0]
    with torchcam.methods.LayerCAM(network, layer, reshape_transform=to_maps) as extractor:
        expected = extractor(classes, network(images), normalized=False)[0].numpy()
    found = explain(network, images, ["layercam"], [layer], targets=classes)["layercam", layer][:, 0]
    np.testing.assert_allclose(np.maximum(found, 0), expected, rtol=0, atol=1e-6 * expected.max())


def test_a_layer_of_which_only_the_class_token_reaches_the_logits_is_refused():
    with pytest.raises(InputError) as error:
        explain(vision_transformer(), noise(2, 32), ["gradcam"], ["encoder"])
    assert error.value.subject == "layer encoder" and "class token" in error.value.found
    assert "earlier layer" in error.value.hint


def test_a_classifier_that_starts_at_zero_is_no_proof_of_a_pooled_head():
    network = vision_transformer()
    nn.init.zeros_(network.heads.head.weight)
    with pytest.raises(InputError) as raised:
        explain(network, noise(2, 32), ["cam"], ["encoder"])
    assert raised.value.subject == "cam"


def test_images_need_not_be_square():
    network = small_network()
    found = explain(network, torch.randn(2, 3, 16, 32), ["cam", "gradcam"], ["stage3"])
    assert found["cam", "stage3"].shape == (2, 4, 4, 8)


@pytest.mark.parametrize(
    ("layers", "subject", "shown"),
    [
        (["stage9"], 'layer "stage9"', "stage1, stage3, stage2"),
        (["head"], "layer head", "shape (1, 4)"),
        ([], "layers", "[]"),
        ("stage1", "layers", "'stage1'"),
    ],
)
def test_layers_that_cannot_be_looked_at_are_refused(layers, subject, shown):
    with pytest.raises(InputError) as raised:
        explain(small_network(), noise(), ["gradcam"], layers)
    assert raised.value.subject == subject
    assert shown in f"{raised.value.expected} {raised.value.found}"


def test_an_unknown_layer_of_a_network_is_refused_with_those_that_exist():
    network = build_network("looknet", 2, {"width": 4, "depth": 2}).eval()
    with pytest.raises(InputError, match='layer "block3": expected one of block1, block2'):
        explain(network, noise(), ["gradcam"], ["block3"])


def test_cam_at_a_layer_without_a_linear_head_is_refused():
    with pytest.raises(InputError) as error:
        explain(small_network(), noise(), ["cam"], ["stage1"])
    assert (error.value.subject, error.value.found) == ("cam", "none in stage1")
    assert "gradcam" in error.value.hint


def test_a_layer_that_does_not_run_is_refused():
    network = small_network()
    network.spare = nn.Conv2d(3, 3, 1)
    network.forward = lambda x: network.head(
        network.flatten(network.pool(network.stage3(network.stage2(network.stage1(x)))))
    )
    with pytest.raises(InputError, match="layer spare: expected to run in a forward pass"):
        explain(network, noise(), ["gradcam"], ["spare"])


def test_a_module_that_gives_no_logits_is_refused():
    with pytest.raises(InputError) as raised:
        explain(nn.Conv2d(3, 2, 3), noise(), ["gradcam"])
    assert raised.value.expected == "logits (N, classes)"
    assert raised.value.found == "(1, 2, 14, 14) for one image"


def test_a_module_that_gives_several_tensors_is_refused():
    class Two(nn.Module):
        def forward(self, x):
            return x, x

    class First(nn.Module):
        def forward(self, pair):
            return pair[0].mean((2, 3))

    network = nn.Sequential(nn.Conv2d(3, 4, 3), Two(), First())
    with pytest.raises(InputError, match="layer 1: expected one tensor, found tuple") as raised:
        explain(network, noise(), ["gradcam"], ["1"])
    assert raised.value.hint == "layers with places: 0"


def test_a_dropout_on_the_image_is_no_layer() -> None:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU())
    network = nn.Sequential(nn.Dropout(), body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 3)).eval()
    assert [layer.name for layer in probe_layers(network, None, (3, 32, 32), None).layers] == ["1.1", "1"]
