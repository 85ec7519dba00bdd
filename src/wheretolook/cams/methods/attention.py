"""Methods for transformers: LeGrad, and attention rollout as its baseline.

A_l (N, heads, T, T) are the attention weights of block l after softmax; rows are queries, columns are keys.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from wheretolook.cams.methods.method import Method, Needs


def legrad(gradients: Iterable[Tensor]) -> Tensor:
    """LeGrad (Bousselham et al. 2024, arXiv:2404.03214), without the final min-max normalisation.

    M(t) = mean over blocks l, heads and queries q of relu(d s_l / d A_l(q, t)). s_l is the explained logit, read out of
    block l's tokens by the network's own last norm, class token (or pooling) and head.

    Args:
        gradients: of each block, (N, heads, T, T): of s_l with respect to A_l.

    Returns:
        (N, T), in logit units per attention weight; never negative.
    """
    blocks = [gradient.relu().mean((1, 2)) for gradient in gradients]  # (N, T) each
    return torch.stack(blocks).mean(0)


LEGRAD = Method("legrad", Needs.ATTENTION_GRADIENTS, legrad, "logits", "Bousselham et al. 2024, arXiv:2404.03214")


def rollout(weights: Iterable[Tensor], class_token: bool = True) -> Tensor:
    """Attention rollout (Abnar and Zuidema 2020, arXiv:2005.00928): R = A'_L ... A'_1, A'_l = (mean_heads A_l + I) / 2.

    Args:
        weights: of each block, first to last, (N, heads, T, T).
        class_token: whether token 0 is read out; otherwise the mean of all rows of R is.

    Returns:
        (N, T): the share of each token in the token that is read out; the same for every class. A row sums to 1.
    """
    product: Tensor | None = None
    for each in weights:
        mixed = each.mean(1)
        mixed = (mixed + torch.eye(mixed.shape[-1], device=mixed.device, dtype=mixed.dtype)) / 2
        product = mixed if product is None else mixed @ product
    if product is None:
        raise ValueError("rollout: no block")
    return product[:, 0] if class_token else product.mean(1)


ROLLOUT = Method("rollout", Needs.ATTENTION, rollout, "share", "Abnar and Zuidema 2020, arXiv:2005.00928")
