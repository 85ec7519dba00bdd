"""Our maps against the peers' own code. Known differences of the peers:

- torchcam's GradCAM++ edits a copy in place and so leaves out its denominator: it is not compared.
- pytorch-grad-cam divides by max + 1e-7, twice, and adds 1e-6 to the denominator of GradCAM++, which drowns small
  gradients: there the head is scaled up, so that the constant does not count.
- captum's LayerGradCam is raw and signed.
"""

import copy
import warnings
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from tests.cams.small import livened, noise, small_network
from wheretolook.cams.explain import explain
from wheretolook.cams.methods.gradients import finer_cam

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import captum.attr
    import pytorch_grad_cam
    import torchcam.methods
    from pytorch_grad_cam.finer_cam import FinerCAM
    from pytorch_grad_cam.utils.image import scale_cam_image
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

CLASSES = [1, 0, 3]  # the explained class of each image


GRADIENT_METHODS = ["gradcam", "gradcam++", "xgradcam", "hirescam", "layercam"]


@dataclass
class Case:
    network: nn.Module
    head: str
    layers: list[str]
    images: torch.Tensor
    found: dict = field(default_factory=dict)

    def maps(self, method, layer, fast):
        """Ours, all taken at once."""
        if fast not in self.found:
            methods = ["cam", *GRADIENT_METHODS]
            self.found[fast] = explain(self.network, self.images, methods, self.layers, targets=CLASSES, fast=fast)
        return self.found[fast][method, layer][:, 0]


@pytest.fixture(scope="module", params=["small", "small float64", "resnet18 float64"])
def case(request):
    """A network, images, and two of its layers.

    A map is often a small difference of large sums, where float32 itself is worse than 1e-6: the plain networks are
    in float64, which shows that the formulas are the same; the one in float32 has a head of mostly positive weights.
    """
    dtype = torch.float64 if "float64" in request.param else torch.float32
    if "resnet18" in request.param:
        torch.manual_seed(0)
        network = livened(torchvision.models.resnet18(num_classes=4)).eval().to(dtype)
        # Frozen: the peers' backward passes then stop short of the weights, which saves half of their time.
        images = noise(size=33).to(dtype).requires_grad_()
        return Case(network.requires_grad_(False), "fc", ["layer3", "layer4"], images)
    network = small_network().to(dtype)
    if dtype is torch.float32:
        nn.init.uniform_(network.head.weight, -0.1, 0.4)
    return Case(network, "head", ["stage2", "stage3"], noise().to(dtype))


def close(found, expected, atol):
    """To `atol` after each map is divided by its largest value; maps that are zero when rectified prove nothing."""
    scale = np.abs(expected).max((1, 2), keepdims=True)
    assert (scale > 0).any()
    scale[scale == 0] = 1
    np.testing.assert_allclose(found / scale, expected / scale, rtol=0, atol=atol)


def assert_agrees(case, method, layer, expected, view=lambda maps: maps):
    close(view(case.maps(method, layer, fast=False)), expected, 1e-6)
    close(view(case.maps(method, layer, fast=True)), expected, 1e-5)


def rectified(maps):
    return np.maximum(maps, 0)


def test_cam_is_torchcams(case):
    with torchcam.methods.CAM(case.network, case.layers[-1], case.head) as extractor:
        case.network(case.images)
        expected = extractor(CLASSES, normalized=False)[0].numpy()
    assert_agrees(case, "cam", case.layers[-1], expected)


@pytest.mark.parametrize(
    ("method", "peer"),
    [
        ("gradcam", torchcam.methods.GradCAM),
        ("xgradcam", torchcam.methods.XGradCAM),
        ("layercam", torchcam.methods.LayerCAM),
    ],
)
def test_gradient_methods_are_torchcams(case, method, peer):
    with peer(case.network, list(case.layers)) as extractor:
        expected = extractor(CLASSES, case.network(case.images), normalized=False)
    for layer, maps in zip(case.layers, expected, strict=True):
        assert_agrees(case, method, layer, maps.numpy(), rectified)


@pytest.mark.parametrize(
    ("method", "peer"),
    [
        ("gradcam", pytorch_grad_cam.GradCAM),
        ("gradcam++", pytorch_grad_cam.GradCAMPlusPlus),
        ("xgradcam", pytorch_grad_cam.XGradCAM),
        ("hirescam", pytorch_grad_cam.HiResCAM),
        ("layercam", pytorch_grad_cam.LayerCAM),
    ],
)
def test_gradient_methods_are_pytorch_grad_cams(case, method, peer):
    if case.head == "fc" and method not in ("gradcam++", "hirescam"):
        pytest.skip("on resnet18 torchcam's are enough")
    scaled = with_large_gradients(case) if method == "gradcam++" else case
    for layer in case.layers[:1] if case.head == "fc" else case.layers:
        with peer(scaled.network, [scaled.network.get_submodule(layer)]) as extractor:
            expected = extractor(case.images, [ClassifierOutputTarget(k) for k in CLASSES])
        size = case.images.shape[2:]
        assert_agrees(scaled, method, layer, expected, lambda m, s=size: as_pytorch_grad_cam(m, s))


def test_finer_cam_of_all_classes_maps_is_pytorch_grad_cams():
    network, images = small_network(classes=6).double(), noise(3).double()
    found = explain(network, images, ["gradcam"], ["stage2"])
    ours = finer_cam(found["gradcam", "stage2"], np.array(CLASSES), found.logits)
    with FinerCAM(network, [network.get_submodule("stage2")]) as extractor:
        expected = [extractor(image[None], target_idx=k)[0] for image, k in zip(images, CLASSES, strict=True)]
    shown = as_pytorch_grad_cam(ours, images.shape[2:])
    np.testing.assert_allclose(shown, np.stack(expected), atol=1e-4)


def with_large_gradients(case):
    """The same case with a head that is scaled up."""
    network = copy.deepcopy(case.network)
    with torch.no_grad():
        network.get_submodule(case.head).weight.mul_(1e7)
    return Case(network, case.head, case.layers, case.images)


def as_pytorch_grad_cam(maps, size):
    """Its own view of raw maps: rectified, stretched to 0..1 and resized, then stretched once more."""
    return scale_cam_image(scale_cam_image(rectified(maps), tuple(size[::-1])))


def test_gradcam_is_captums(case):
    for layer in case.layers:
        peer = captum.attr.LayerGradCam(case.network, case.network.get_submodule(layer))
        expected = peer.attribute(case.images, torch.tensor(CLASSES)).detach().numpy()[:, 0]
        assert_agrees(case, "gradcam", layer, expected)


@pytest.fixture
def unstrided():
    """Maps as large as the images: peers resize masks and maps in different ways, here none does."""
    return small_network(stride=1, bias=False), noise(size=8)


def perturbed(network, images, method):
    return explain(network, images, [method], ["stage2"], targets=CLASSES)[method, "stage2"][:, 0]


def test_scorecam_is_torchcams(unstrided):
    network, images = unstrided
    with torchcam.methods.ScoreCAM(network, "stage2") as extractor:
        expected = extractor(CLASSES, network(images), normalized=False)[0].numpy()
    close(rectified(perturbed(*unstrided, "scorecam")), expected, 1e-6)


@pytest.mark.filterwarnings("ignore")
def test_scorecam_is_pytorch_grad_cams(unstrided):
    network, images = unstrided
    with pytorch_grad_cam.ScoreCAM(network, [network.stage2]) as extractor:
        expected = extractor(images, [ClassifierOutputTarget(k) for k in CLASSES])
    close(as_pytorch_grad_cam(perturbed(*unstrided, "scorecam"), images.shape[2:]), expected, 1e-6)


@pytest.mark.filterwarnings("ignore")
def test_ablationcam_is_pytorch_grad_cams_but_for_the_sign_that_the_peer_takes_from_a_logit_below_zero(unstrided):
    network, images = unstrided
    with pytorch_grad_cam.AblationCAM(network, [network.stage2]) as extractor:
        expected = extractor(images, [ClassifierOutputTarget(k) for k in CLASSES])
    logits = network(images).detach()[range(len(CLASSES)), CLASSES].numpy()
    signed = np.sign(logits)[:, None, None] * perturbed(*unstrided, "ablationcam")
    close(as_pytorch_grad_cam(signed, images.shape[2:]), expected, 1e-6)


def test_eigencam_is_pytorch_grad_cams_on_centred_feature_maps():
    """The peer centres the feature maps first, the paper does not: the same on maps whose channels have mean zero."""

    class Centred(nn.Module):
        def forward(self, x):
            return x - x.mean((2, 3), keepdim=True)

    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 6, 3), Centred(), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(6, 4))
    images = noise(size=10)
    with pytorch_grad_cam.EigenCAM(network, [network[1]]) as extractor:
        expected = extractor(images, [ClassifierOutputTarget(k) for k in CLASSES])
    found = explain(network, images, ["eigencam"], ["1"])["eigencam", "1"][:, 0]
    for pair in signed_alike(found, expected, images.shape[2:]):
        np.testing.assert_allclose(*pair, rtol=0, atol=1e-5)


def signed_alike(found, expected, size):
    """Each map with the sign that the peer's SVD happened to give."""
    for mine, theirs in zip(found, expected, strict=True):
        views = [as_pytorch_grad_cam(sign * mine[None], size)[0] for sign in (1, -1)]
        yield min(views, key=lambda view: np.abs(view - theirs).max()), theirs
