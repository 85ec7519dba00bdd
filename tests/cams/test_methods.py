"""Each method on arrays that are small enough to work by hand, or against its formula in plain numpy."""

import numpy as np
import pytest
import torch

from wheretolook.base.errors import InputError
from wheretolook.cams import methods
from wheretolook.cams.methods import METHODS, find_method
from wheretolook.cams.methods.gradient_free import ablationcam, activation, channel_masks, eigencam, scorecam
from wheretolook.cams.methods.gradients import cam, gradcam, gradcam_plusplus, hirescam, layercam, xgradcam
from wheretolook.mapstore.store import CAM_METHODS

# One image, two channels of 2 x 2.
MAPS = torch.tensor([[[[1.0, 0.0], [2.0, 1.0]], [[0.0, 4.0], [0.0, 0.0]]]])
GRADIENTS = torch.tensor([[[[1.0, -1.0], [2.0, 2.0]], [[-1.0, -1.0], [-1.0, 1.0]]]])


def given(found):
    return found[0].tolist()


def test_cam_weighs_channels_by_the_class():
    assert given(cam(MAPS, torch.tensor([[3.0, -1.0]]))) == [[3, -4], [6, 3]]


def test_gradcam_weighs_channels_by_their_mean_gradient():
    # Means: 1 and -1/2.
    assert given(gradcam(MAPS, GRADIENTS)) == [[1, -2], [2, 1]]


def test_hirescam_multiplies_place_by_place():
    assert given(hirescam(MAPS, GRADIENTS)) == [[1, -4], [4, 2]]


def test_layercam_leaves_negative_gradients_out():
    assert given(layercam(MAPS, GRADIENTS)) == [[1, 0], [4, 2]]


def test_xgradcam_weighs_gradients_by_activation():
    # Channel 0: (1 + 4 + 2) / 4; channel 1: -4 / 4.
    assert given(xgradcam(MAPS, GRADIENTS)) == [[1.75, -4], [3.5, 1.75]]


def test_xgradcam_gives_a_dead_channel_no_weight():
    dead = MAPS.clone()
    dead[:, 1] = 0
    assert given(xgradcam(dead, GRADIENTS)) == [[1.75, 0], [3.5, 1.75]]


def test_gradcam_plusplus_has_the_weights_of_the_paper():
    # Channel 0, sum 4: 1/(2+4) + 0 + 2/(2+8) + 2/(2+8); channel 1, sum 4: 1/(2+4).
    first, second = 1 / 6 + 0.4, 1 / 6
    expected = [[first, 4 * second], [2 * first, first]]
    np.testing.assert_allclose(given(gradcam_plusplus(MAPS, GRADIENTS)), expected, rtol=1e-6)


def test_gradcam_plusplus_is_the_papers_fraction():
    generator = np.random.default_rng(0)
    maps, gradients = np.abs(generator.normal(size=(2, 5, 4, 3))), generator.normal(size=(2, 5, 4, 3))
    sums = maps.sum((2, 3), keepdims=True)
    alpha = gradients**2 / (2 * gradients**2 + sums * gradients**3)
    weights = (alpha * np.maximum(gradients, 0)).sum((2, 3), keepdims=True)
    found = gradcam_plusplus(torch.tensor(maps), torch.tensor(gradients))
    np.testing.assert_allclose(found, (weights * maps).sum(1), rtol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradcam_plusplus_counts_a_negative_gradient_as_nothing_where_the_papers_fraction_is_0_over_0(dtype):
    maps = torch.tensor([[[[1.0, 3.0]]]], dtype=dtype)
    gradients = torch.tensor([[[[-0.5, 0.5]]]], dtype=dtype)  # -0.5 times the sum of 4 is -2
    np.testing.assert_allclose(gradcam_plusplus(maps, gradients), [[[0.125, 0.375]]])


def test_activation_is_the_mean_over_channels():
    assert given(activation(MAPS)) == [[0.5, 2], [1, 0.5]]


def test_eigencam_is_the_first_singular_direction_and_not_centred():
    generator = np.random.default_rng(0)
    maps = generator.normal(size=(3, 6, 4, 5)) + 1
    for found, image in zip(eigencam(torch.tensor(maps)).numpy(), maps, strict=True):
        places = image.reshape(6, 20).T
        _, _, directions = np.linalg.svd(places)
        expected = (places @ directions[0]).reshape(4, 5)
        sign = np.sign((expected * image.mean(0)).sum())
        np.testing.assert_allclose(found, sign * expected, atol=1e-9)


def test_eigencam_has_the_sign_of_the_mean_activation():
    generator = np.random.default_rng(1)
    maps = torch.tensor(np.abs(generator.normal(size=(4, 6, 3, 3))))
    assert (eigencam(maps) > 0).all()
    torch.testing.assert_close(eigencam(-maps), -eigencam(maps))


def test_scorecam_weighs_channels_by_the_softmax_of_what_they_add():
    # Masked logits 5 and 5 - log 3 above and below: weights 3/4 and 1/4, whatever the logit of the image.
    masked = torch.tensor([[5.0, 5.0 - np.log(3.0)]])
    for logit in (0.0, 7.0):
        found = scorecam(MAPS, torch.tensor([logit]), masked)
        np.testing.assert_allclose(given(found), [[0.75, 1], [1.5, 0.75]], rtol=1e-5)


def test_channel_masks_lie_between_0_and_1_and_a_constant_channel_masks_all():
    maps = torch.stack([torch.arange(4.0).view(2, 2), torch.full((2, 2), 3.0)])[None]
    masks = channel_masks(maps, (4, 4))
    assert masks.shape == (1, 2, 4, 4)
    assert masks[0, 0].min() == 0 and masks[0, 0].max() == 1
    assert (masks[0, 1] == 0).all()
    # Corners are not aligned: the outer pixels lie outside of the cells' middles and take their value.
    np.testing.assert_allclose(masks[0, 0, 0], [0, 0.25 / 3, 0.75 / 3, 1 / 3], atol=1e-6)


@pytest.mark.parametrize("logit", [4.0, -4.0, 0.0])
def test_ablationcam_weighs_channels_by_what_the_logit_loses_whatever_its_sign(logit):
    found = ablationcam(MAPS, torch.tensor([logit]), torch.tensor([[logit - 2, logit + 1]]))
    assert given(found) == [[2, -4], [4, 2]]


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_every_method_names_its_paper_and_its_units(method):
    assert method.units in ("logits", "activation", "logits times activation", "share")
    assert "arXiv:" in method.paper or "doi:" in method.paper or method.name == "activation"
    assert method.paper.split(", ")[-1] in method.function.__doc__ or method.name == "activation"


def test_only_methods_that_use_no_logit_know_no_class():
    assert {name for name, method in METHODS.items() if not method.knows_class} == {"eigencam", "activation", "rollout"}
    assert {name for name, method in METHODS.items() if method.forward_passes_a_channel} == {"scorecam", "ablationcam"}


def test_an_unknown_method_is_refused_with_those_that_exist():
    with pytest.raises(InputError) as error:
        find_method("gradcam2")
    assert error.value.found == '"gradcam2"'
    assert error.value.expected == f"one of {', '.join(CAM_METHODS)}"
    assert error.value.hint == 'did you mean "gradcam"?'


def test_the_registry_holds_the_listed_names_in_their_order():
    assert tuple(METHODS) == CAM_METHODS


def test_a_method_missing_from_the_list_of_names_is_an_error(monkeypatch):
    monkeypatch.setattr(methods, "CAM_METHODS", CAM_METHODS[1:])
    with pytest.raises(RuntimeError, match=r"mapstore/store\.py"):
        methods._collect()
