"""LeGrad and attention rollout, and the attention weights of a transformer's blocks, which fused kernels do not return.

A_l (N, heads, T, T) are the attention weights of block l after softmax; rows are queries, columns are keys.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from wheretolook.base.errors import InputError
from wheretolook.cams.methods.method import Method, Needs
from wheretolook.networks.layered import hooked
from wheretolook.networks.layers.steadiness import Shape, random_images, run

_SOFTMAX = (functional.softmax, torch.softmax, Tensor.softmax)
_FUSED = functional.scaled_dot_product_attention
_MULTI_HEAD = functional.multi_head_attention_forward


@dataclass(frozen=True)
class Attention:
    """One self-attention of a forward pass.

    Attributes:
        output: part of the graph: (N, heads, T, d) of a fused kernel, or the weights themselves (N, heads, T, T).
        values: (N, heads, T, d) that a fused kernel multiplies by the weights; None: `output` holds the weights.
        weights: returns the weights (N, heads, T, T), after softmax; rows are queries and sum to 1.
    """

    output: Tensor
    values: Tensor | None
    weights: Callable[[], Tensor]

    def weight_gradients(self, gradient: Tensor) -> Tensor:
        """Gradients of the weights, (N, heads, T, T), given those of `output`: O = A V, so dA = dO V^T."""
        return gradient if self.values is None else gradient @ self.values.detach().transpose(-2, -1)


class _Recorder(TorchFunctionMode):
    """Records each self-attention; the network's results stay the same."""

    def __init__(self, record: Callable[[Attention], None]):
        super().__init__()
        self._record = record

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function is _FUSED:
            return self._fused(*args, **kwargs)
        if function is _MULTI_HEAD:
            return self._multi_head(args, kwargs)
        result = function(*args, **kwargs)
        if function in _SOFTMAX and result.ndim == 4 and result.shape[-1] == result.shape[-2] > 1:
            result = _leaf(result)
            self._record(Attention(result, None, lambda: result.detach()))
        return result

    def _fused(self, query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        output = _leaf(_FUSED(query, key, value, *args, **kwargs))
        if output.ndim == 4 and query.shape == key.shape == value.shape:
            options = dict(zip(("attn_mask", "dropout_p", "is_causal"), args, strict=False)) | kwargs
            weights = partial(_weights, query.detach(), key.detach(), options)
            self._record(Attention(output, value, weights))
        return output

    def _multi_head(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Tensor, Tensor | None]:
        """Self-attention of `nn.MultiheadAttention`, whose kernel PyTorch calls where no mode sees it."""
        given = signature(_MULTI_HEAD).bind(*args, **kwargs)
        given.apply_defaults()
        v = given.arguments
        unusual = ("bias_k", "bias_v", "add_zero_attn", "use_separate_proj_weight", "key_padding_mask", "attn_mask")
        if (
            v["query"] is not v["key"]
            or v["key"] is not v["value"]
            or any(v[name] is not None and v[name] is not False for name in unusual)
        ):
            return _MULTI_HEAD(*args, **kwargs)
        tokens, count, channels = v["query"].shape
        packed = functional.linear(v["query"], v["in_proj_weight"], v["in_proj_bias"])
        query, key, value = (
            part.contiguous().view(tokens, count, v["num_heads"], -1).permute(1, 2, 0, 3)
            for part in packed.chunk(3, -1)
        )
        output = self._fused(query, key, value)
        joined = output.permute(2, 0, 1, 3).reshape(tokens * count, channels)
        result = functional.linear(joined, v["out_proj_weight"], v["out_proj_bias"]).view(tokens, count, -1)
        if not v["need_weights"]:
            return result, None
        weights = _weights(query, key, {})
        return result, weights.mean(1) if v["average_attn_weights"] else weights


def _leaf(output: Tensor) -> Tensor:
    """The output, part of a graph where gradients are enabled; a frozen network has none before it."""
    if torch.is_grad_enabled() and not output.requires_grad:
        return output.detach().requires_grad_()
    return output


def _weights(query: Tensor, key: Tensor, options: Mapping[str, Any]) -> Tensor:
    """The weights (N, heads, T, T) of a fused kernel, from its queries and keys and the options that it was given."""
    scale = options.get("scale") or query.shape[-1] ** -0.5
    scores = (query.float() * scale) @ key.float().transpose(-2, -1)
    mask = options.get("attn_mask")
    if options.get("is_causal"):
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf")) if mask.dtype is torch.bool else scores + mask
    return scores.softmax(-1)


@dataclass
class BlockAttention:
    """What one forward pass of a transformer recorded, one entry per block.

    Attributes:
        attentions: of each block, first to last.
        outputs: (N, T, C) tokens of each block.
        joined: ((1 + blocks) N, T, C), what the last norm and the head read, with `read_each`; else None.
    """

    attentions: list[Attention] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)
    joined: Tensor | None = None

    @property
    def count(self) -> int:
        """Number of blocks."""
        return len(self.attentions)


@contextmanager
def capture_attention(network: nn.Module, blocks: Sequence[str], read_each: bool) -> Iterator[BlockAttention]:
    """Record the attention of each block; mode and hooks are removed after it, also after an error.

    Args:
        network: the transformer.
        blocks: names of its blocks, as `find_blocks` returns them.
        read_each: append the tokens of all blocks to those of the last block, along the batch. What follows (norm,
            pooling or class token, head) then returns logits ((1 + blocks) N, classes): the network's own, then
            those that it reads out of each block.
    """
    found = BlockAttention()

    def keep(last: bool, module: nn.Module, inputs: object, output: Tensor) -> Tensor | None:
        found.outputs.append(output)
        if last and read_each:
            found.joined = torch.cat([output, *found.outputs])
        return found.joined

    hooks = [(network.get_submodule(name), partial(keep, name == blocks[-1])) for name in blocks]
    with hooked(hooks), _Recorder(found.attentions.append):
        yield found


def find_blocks(network: nn.Module, shape: Shape) -> tuple[str, ...]:
    """Names of a transformer's blocks, found in one forward pass of random images.

    A block is what contains one self-attention over all tokens and returns tokens (N, T, C).

    Raises:
        InputError: fewer than two such blocks: a convolutional network, or attention in windows.
    """
    names = {module: name for name, module in network.named_modules()}
    stack: list[str] = []
    stacks: list[list[str]] = []
    outputs: dict[str, tuple[int, ...]] = {}
    lengths: list[int] = []

    def leave(module: nn.Module, inputs: object, output: object) -> None:
        stack.pop()
        outputs[names[module]] = tuple(output.shape) if isinstance(output, Tensor) else ()

    def note(attention: Attention) -> None:
        stacks.append([*stack])
        lengths.append(attention.output.shape[2])

    enter = [
        module.register_forward_pre_hook(lambda module, inputs: stack.append(names[module]))
        for module in network.modules()
    ]
    try:
        with torch.no_grad(), hooked((module, leave) for module in network.modules()), _Recorder(note):
            run(network, random_images(network, shape))
    finally:
        for handle in enter:
            handle.remove()
    depth = next((i for i, level in enumerate(zip(*stacks, strict=False)) if len(set(level)) > 1), 0)
    blocks = [path[depth] for path in stacks]
    usable = len(set(blocks)) == len(blocks) > 1 and len(set(lengths)) == 1
    if not usable or any(len(outputs[name]) != 3 or outputs[name][1] != lengths[0] for name in blocks):
        raise InputError(
            type(network).__name__,
            expected="a transformer of two blocks or more, each with one self-attention over all tokens (N, T, C)",
            found=f"{len(stacks)} self-attentions of {sorted(set(lengths))} tokens" if stacks else "no self-attention",
            hint="use gradcam, or another method for feature maps",
        )
    return tuple(blocks)


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
