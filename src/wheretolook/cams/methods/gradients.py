"""CAM, the gradient methods and Finer-CAM: feature maps, weighted by the classifier's weights or by gradients.

Common notation: f_c(x, y) is channel c of the feature maps (N, C, h, w); g_c(x, y) is the gradient of the explained
logit (before softmax) with respect to it. All maps are raw and signed: where a paper ends in a ReLU, it is left out.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from wheretolook.cams.methods.method import Method, Needs


def cam(feature_maps: Tensor, class_weights: Tensor) -> Tensor:
    """Class activation map (Zhou et al. 2016, eq. 2, arXiv:1512.04150): M(x, y) = sum_c w_c f_c(x, y).

    The bias belongs to no position and is not added: the spatial mean of the map plus the bias is the logit.

    Args:
        feature_maps: (N, C, h, w), the input of the global average pooling.
        class_weights: (N, C), classifier weights of each image's explained class.

    Returns:
        (N, h, w), in logit units.
    """
    return weighted_sum(feature_maps, class_weights)


CAM = Method("cam", Needs.CLASS_WEIGHTS, cam, "logits", "Zhou et al. 2016, arXiv:1512.04150", linear=True)


def gradcam(feature_maps: Tensor, gradients: Tensor) -> Tensor:
    """Grad-CAM (Selvaraju et al. 2017, eq. 1 and 2, arXiv:1610.02391), without the final ReLU.

    M(x, y) = sum_c a_c f_c(x, y), where a_c is the spatial mean of g_c. For the layer that a linear head pools, this
    equals CAM / (h w).

    Args:
        feature_maps: (N, C, h, w).
        gradients: (N, C, h, w), of the explained logit, not of a softmax score.

    Returns:
        (N, h, w), in logit units.
    """
    return weighted_sum(feature_maps, gradients.mean((2, 3)))


GRADCAM = Method("gradcam", Needs.GRADIENTS, gradcam, "logits", "Selvaraju et al. 2017, arXiv:1610.02391", linear=True)


def gradcam_plusplus(feature_maps: Tensor, gradients: Tensor) -> Tensor:
    """Grad-CAM++ (Chattopadhay et al. 2018, arXiv:1710.11063), without the final ReLU.

    M(x, y) = sum_c w_c f_c(x, y), w_c = sum_xy alpha_c relu(g_c), alpha_c = g_c^2 / (2 g_c^2 + g_c^3 sum_xy f_c).
    Only positions with g_c > 0 contribute; there alpha_c = 1 / (2 + g_c sum_xy f_c). This form needs no epsilon in the
    denominator. Like the paper, it assumes non-negative feature maps (after a ReLU); otherwise the denominator can come
    close to zero.

    Args:
        feature_maps: (N, C, h, w).
        gradients: (N, C, h, w), of the explained logit.

    Returns:
        (N, h, w), in logit units.
    """
    positive = gradients.relu()
    sums = feature_maps.sum((2, 3), keepdim=True, dtype=torch.promote_types(gradients.dtype, torch.float32))
    weights = (positive / (positive * sums + 2)).sum((2, 3))  # (N, C)
    return weighted_sum(feature_maps, weights)


GRADCAM_PLUSPLUS = Method(
    "gradcam++", Needs.GRADIENTS, gradcam_plusplus, "logits", "Chattopadhay et al. 2018, arXiv:1710.11063"
)


def xgradcam(feature_maps: Tensor, gradients: Tensor) -> Tensor:
    """XGrad-CAM (Fu et al. 2020, arXiv:2008.02312).

    M(x, y) = sum_c w_c f_c(x, y), w_c = sum_xy g_c f_c / sum_xy f_c. A channel whose sum is zero gets weight 0.

    Args:
        feature_maps: (N, C, h, w).
        gradients: (N, C, h, w), of the explained logit.

    Returns:
        (N, h, w), in logit units.
    """
    dtype = torch.promote_types(gradients.dtype, torch.float32)
    sums = feature_maps.sum((2, 3), dtype=dtype)  # (N, C)
    products = (gradients * feature_maps).sum((2, 3), dtype=dtype)  # (N, C)
    return weighted_sum(feature_maps, torch.where(sums == 0, 0, products / torch.where(sums == 0, 1, sums)))


XGRADCAM = Method("xgradcam", Needs.GRADIENTS, xgradcam, "logits", "Fu et al. 2020, arXiv:2008.02312", linear=True)


def hirescam(feature_maps: Tensor, gradients: Tensor) -> Tensor:
    """HiResCAM (Draelos and Carin 2020, arXiv:2011.08891): M(x, y) = sum_c g_c(x, y) f_c(x, y).

    If the logit is linear in the layer, the map sums to the logit minus the bias.

    Args:
        feature_maps: (N, C, h, w).
        gradients: (N, C, h, w), of the explained logit.

    Returns:
        (N, h, w), in logit units.
    """
    return (gradients * feature_maps).sum(1)


HIRESCAM = Method(
    "hirescam", Needs.GRADIENTS, hirescam, "logits", "Draelos and Carin 2020, arXiv:2011.08891", linear=True
)


def layercam(feature_maps: Tensor, gradients: Tensor) -> Tensor:
    """LayerCAM (Jiang et al. 2021, doi:10.1109/TIP.2021.3089943): M(x, y) = sum_c relu(g_c(x, y)) f_c(x, y).

    Args:
        feature_maps: (N, C, h, w).
        gradients: (N, C, h, w), of the explained logit.

    Returns:
        (N, h, w), in logit units; negative only where feature maps are negative.
    """
    return (gradients.relu() * feature_maps).sum(1)


LAYERCAM = Method("layercam", Needs.GRADIENTS, layercam, "logits", "Jiang et al. 2021, doi:10.1109/TIP.2021.3089943")


def weighted_sum(feature_maps: Tensor, weights: Tensor) -> Tensor:
    """Sum of each image's feature maps, weighted per channel; most methods end in it.

    Args:
        feature_maps: (N, C, h, w), any floating type.
        weights: (N, C).

    Returns:
        (N, h, w) float32, or float64 if the feature maps are float64.
    """
    dtype = torch.promote_types(feature_maps.dtype, torch.float32)
    if feature_maps.stride(1) == 1:  # channels last: one matrix product reads the feature maps only once
        n, _, h, w = feature_maps.shape
        return torch.bmm(weights.to(dtype)[:, None], feature_maps.to(dtype).flatten(2)).view(n, h, w)
    # Channels first, the layout of torchcam and pytorch-grad-cam: this rounds as they do, to the last bit or two.
    return (feature_maps * weights.to(dtype)[:, :, None, None]).sum(1, dtype=dtype)


REFERENCES = 3  # classes that Finer-CAM compares with


def finer_cam(
    maps: np.ndarray, class_index: np.ndarray, logits: np.ndarray, references: int = REFERENCES, alpha: float = 1.0
) -> np.ndarray:
    """Finer-CAM (Zhang et al. 2025, arXiv:2501.11309): a class against the classes most similar to it, without ReLU.

    The map of s = y_c - alpha sum_r q_r y_r. The references r are the classes whose logits are nearest to y_c, and q is
    the softmax of their logits. For methods that are linear in the class (cam, gradcam, xgradcam, hirescam), it is the
    sum of the classes' maps times ds/dy_k.

    Args:
        maps: (n, K, h, w) float32, raw and signed, K >= 2.
        class_index: (n,) int64, a class for each image.
        logits: (n, K) float32 of the same images.
        references: number of reference classes; all other classes if there are fewer.
        alpha: strength of the comparison.

    Returns:
        (n, h, w) float32, in the units of the maps.

    Raises:
        ValueError: fewer than two classes.
    """
    count = maps.shape[1]
    if count < 2:
        raise ValueError(f"Finer-CAM needs the maps of two classes or more, found {count}")
    images, y = np.arange(len(maps)), logits.astype(np.float64)
    distances = np.abs(y - y[images, class_index][:, None])
    distances[images, class_index] = np.inf
    nearest = np.argsort(distances, axis=1, kind="stable")[:, : min(references, count - 1)]  # (n, R)
    of_nearest = np.take_along_axis(y, nearest, 1)
    q = np.exp(of_nearest - of_nearest.max(axis=1, keepdims=True))
    q /= q.sum(axis=1, keepdims=True)
    mean = (q * of_nearest).sum(axis=1, keepdims=True)
    slopes = np.zeros_like(y)
    np.put_along_axis(slopes, nearest, -alpha * q * (1 + of_nearest - mean), 1)
    slopes[images, class_index] = 1
    return np.einsum("nk,nkhw->nhw", slopes.astype(np.float32), maps)


def with_references(choose: Callable[[Tensor, slice], Tensor]) -> Callable[[Tensor, slice], Tensor]:
    """Classes to explain for Finer-CAM: behind each class of `choose`, those that it is compared with.

    Returns:
        A function of logits (n, K) and rows that gives (n, T * (1 + R)) int64, where `choose` gives (n, T).
    """

    def chosen(logits: Tensor, rows: slice) -> Tensor:
        own = choose(logits, rows)  # (n, T)
        distances = (logits[:, None] - logits.gather(1, own)[:, :, None]).abs()  # (n, T, K)
        distances.scatter_(2, own[:, :, None], torch.inf)
        nearest = distances.argsort(dim=2, stable=True)[:, :, : min(REFERENCES, logits.shape[1] - 1)]
        return torch.cat([own[:, :, None], nearest], 2).flatten(1)

    return chosen


def finer_cam_of_chosen(maps: np.ndarray, class_index: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Finer-CAM of the classes that `with_references` chose.

    Args:
        maps: (n, T * (1 + R), h, w) float32, raw maps of the classes.
        class_index: (n, T * (1 + R)) int64, as chosen.
        logits: (n, K) float32.

    Returns:
        (n, T, h, w) float32.
    """
    each = 1 + min(REFERENCES, logits.shape[1] - 1)
    own = np.take_along_axis(logits, class_index, 1).reshape(-1, each)
    flat = maps.reshape(-1, each, *maps.shape[2:])
    return finer_cam(flat, np.zeros(len(flat), np.int64), own).reshape(len(maps), -1, *maps.shape[2:])
