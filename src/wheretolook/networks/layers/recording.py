"""What each module of a network gives in the two passes of a trial: one image alone, then a batch with patches."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from weakref import ref

import numpy as np
from torch import Tensor, nn

from wheretolook.networks.layered import hooked

# Values of a layer's output that are compared, for each image: all channels of large layers would cost more than the
# passes themselves.
_COMPARED = 50_000
_CHANNELS_FIRST = (
    nn.modules.conv._ConvNd,
    nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
    nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AvgPoolNd,
    nn.modules.pooling._AdaptiveMaxPoolNd,
    nn.modules.pooling._AdaptiveAvgPoolNd,
    nn.GroupNorm,
    nn.Upsample,
    nn.PixelShuffle,
    nn.PixelUnshuffle,
    nn.Dropout2d,
)
_PADDING = (
    nn.modules.padding._ConstantPadNd,
    nn.modules.padding._ReflectionPadNd,
    nn.modules.padding._ReplicationPadNd,
    nn.modules.padding._CircularPadNd,
)
_KEEPS_ORDER = (nn.Dropout, nn.Identity, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Sigmoid)


@dataclass(frozen=True)
class Patches:
    """Patches of an image, each changed in an image of its own.

    Attributes:
        boxes: (top, left, bottom, right) of each, in pixels.
        size: (H, W) of the image.
    """

    boxes: tuple[tuple[int, int, int, int], ...]
    size: tuple[int, int]

    @property
    def centres(self) -> list[tuple[float, float]]:
        """Centre of each, as (row, column) parts of the image."""
        height, width = self.size
        return [((t + b) / 2 / height, (y + r) / 2 / width) for t, y, b, r in self.boxes]

    def cells(self, grid: tuple[int, int]) -> list[tuple[int, int]]:
        """The cell of a grid that each centre lies in."""
        return [(int(row * grid[0]), int(column * grid[1])) for row, column in self.centres]


@dataclass
class Record:
    """What the passes of a trial show of one module. Of a module that runs several times, the last run counts.

    Attributes:
        number: when it ran, among all runs; -1 if it did not.
        output: of the image alone, with its graph; None if it is no tensor.
        version: how often the output had been written to when the module gave it.
        given: shape of its first input; empty if that is no tensor.
        kind: name of the output's type.
        follows: name of the module whose output is its input; empty for another tensor.
        channels_first: (K, h, w), the response to each of K patches read as channels first, or (K, tokens).
        channels_last: (K, h, w) read as channels last; None where the module is known to give channels first.
        by_origin: the output is known to be (N, C, h, w): a convolution, a norm over channels or a pooling gave it, or
            a module that keeps the order of such an output.
        constant: tokens that are the same for two different images; noted at the first module with as many tokens, else
            None.
        tokens_first: the output is (tokens, N, C).
        passes_on: the output is the very tensor that was given.
        pads: the module only adds rows and columns, or hands on the image.
        projects: the module maps channels to another number of them, or an activation follows such a module.
    """

    number: int = -1
    output: Tensor | None = None
    version: int = 0
    given: tuple[int, ...] = ()
    kind: str = ""
    follows: str = ""
    channels_first: np.ndarray | None = None
    channels_last: np.ndarray | None = None
    by_origin: bool = False
    constant: frozenset[int] | None = None
    tokens_first: bool = False
    passes_on: bool = False
    pads: bool = False
    projects: bool = False
    references: dict[int, Tensor] = field(default_factory=dict)
    """The values compared of the other image, by the dimension of channels."""


@dataclass
class Records:
    """Records of all modules.

    Attributes:
        by_name: a record for each module.
    """

    by_name: dict[str, Record]
    _names: dict[int, str] = field(default_factory=dict)
    _versions: dict[int, int] = field(default_factory=dict)
    _first_with: dict[int, str] = field(default_factory=dict)
    _latest: tuple[Callable[[], Any], int, str] = (lambda: None, 0, "")
    _ran: int = 0
    _image: Tensor | None = None

    def in_order(self) -> list[tuple[str, Record]]:
        """Modules that ran, first to last."""
        ran = [(name, record) for name, record in self.by_name.items() if record.number >= 0]
        return sorted(ran, key=lambda item: item[1].number)

    def altered(self, name: str) -> bool:
        """Whether a later module wrote over a module's output, as in-place activations do."""
        record = self.by_name[name]
        return record.output is not None and record.output._version != record.version

    @contextmanager
    def alone(self, modules: Mapping[str, nn.Module], image: Tensor) -> Iterator[None]:
        """Record the pass of one image, with its graph."""
        self._image = image
        with hooked((module, partial(self._note_alone, name)) for name, module in modules.items()):
            yield
        self._image = None
        self._names.clear()
        self._versions.clear()

    @contextmanager
    def patched(self, modules: Mapping[str, nn.Module]) -> Iterator[None]:
        """Record the pass of a batch: the same image, copies with a patch each, and last another image."""
        with hooked((module, partial(self._note_patched, name)) for name, module in modules.items()):
            yield

    @contextmanager
    def patched_again(self, modules: Mapping[str, nn.Module]) -> Iterator[None]:
        """Add the responses of copies of the other image, with a patch each, to those that are recorded."""
        before = {name: replace(record) for name, record in self.by_name.items()}
        with hooked((module, partial(self._note_more, name)) for name, module in modules.items()):
            yield
        for name, record in self.by_name.items():
            record.channels_first = _joined(before[name].channels_first, record.channels_first)
            record.channels_last = _joined(before[name].channels_last, record.channels_last)

    def _note_alone(self, name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        record = self.by_name[name]
        record.number, self._ran = self._ran, self._ran + 1
        given = inputs[0] if isinstance(inputs, tuple) and inputs and isinstance(inputs[0], Tensor) else None
        record.given = () if given is None else tuple(given.shape)
        record.follows = "" if given is None else self._names.get(id(given), "")
        source = self._names.get(id(output), record.follows if isinstance(module, _KEEPS_ORDER) else "")
        known = source != "" and self.by_name[source].by_origin
        record.by_origin = isinstance(module, _CHANNELS_FIRST) or known
        record.kind = type(output).__name__
        record.output = output if isinstance(output, Tensor) else None
        # The same tensor, not written over on the way, as by an in-place ReLU.
        record.passes_on = (
            record.follows != "" and output is inputs[0] and self._versions[id(output)] == output._version
        )
        # A dropout before the first weights hands on the image, which has no features.
        record.pads = isinstance(module, _PADDING) or output is self._image
        record.projects = _channels_in(module) != _channels_out(module)
        if source != "" and (record.passes_on or isinstance(module, _KEEPS_ORDER)):
            record.projects = self.by_name[source].projects
        if record.output is not None:
            record.version = record.output._version
            self._names[id(output)], self._versions[id(output)] = name, record.version

    def _note_patched(self, name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        record = self.by_name[name]
        record.channels_first = record.channels_last = record.constant = None
        record.references = {}
        same = self._same_output(name, output)
        output = self._by_image(record, output)
        if output is None:
            return
        if same is not None:
            record.channels_first, record.channels_last = same.channels_first, same.channels_last
            record.references, record.constant = same.references, same.constant
            return
        for dimension in _channel_dimensions(record, output):
            values = _compared(output, dimension)
            record.references[dimension] = values[-1:].clone()
            _take(record, dimension, _response(values[1:-1], values[:1], dimension))
        if output.ndim == 3 and self._first_with.setdefault(output.shape[1], name) == name:
            same = (output[0] == output[-1]).all(-1)  # (tokens,)
            record.constant = frozenset(same.nonzero().flatten().tolist())

    def _note_more(self, name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        record = self.by_name[name]
        record.channels_first = record.channels_last = None
        same = self._same_output(name, output)
        output = self._by_image(record, output)
        if output is not None and same is not None:
            record.channels_first, record.channels_last = same.channels_first, same.channels_last
            return
        for dimension, reference in record.references.items() if output is not None else ():
            _take(record, dimension, _response(_compared(output, dimension), reference, dimension))

    def _same_output(self, name: str, output: Any) -> Record | None:
        """The record of the module before, where it gave the very same output, as the last part of a sequence does."""
        before, version, source = self._latest
        if not isinstance(output, Tensor):
            return None
        same = before() is output and version == output._version
        self._latest = ref(output), output._version, name
        record, other = self.by_name[name], self.by_name[source] if same else None
        return other if other is not None and other is not record and other.by_origin == record.by_origin else None

    def _by_image(self, record: Record, output: Any) -> Tensor | None:
        """A module's output for a batch, images first; None where it is not one output for each image, with places."""
        before = record.output
        if before is None or not isinstance(output, Tensor) or not output.is_floating_point():
            return None
        if output.ndim not in (3, 4) or before.ndim != output.ndim:
            return None
        record.tokens_first = False
        if before.shape[0] == 1 != output.shape[0] and output.shape[1:] == before.shape[1:]:
            return output
        if output.ndim == 3 and before.shape[1] == 1 and output.shape[::2] == before.shape[::2]:
            record.tokens_first = True
            return output.transpose(0, 1)
        return None


def _channel_dimensions(record: Record, output: Tensor) -> tuple[int, ...]:
    """Dimensions of an output that may be those of channels."""
    if output.ndim == 3:
        return (2,)
    return (1,) if record.by_origin else (1, 3)


def _take(record: Record, dimension: int, response: np.ndarray) -> None:
    if dimension == 3:
        record.channels_last = response
    else:
        record.channels_first = response


def _joined(first: np.ndarray | None, second: np.ndarray | None) -> np.ndarray | None:
    """Responses to the patches of both batches; None where either has none."""
    same = first is not None and second is not None and first.shape[1:] == second.shape[1:]
    return np.concatenate([first, second]) if same and first is not None and second is not None else None


def _channels_in(module: nn.Module) -> int | None:
    return getattr(module, "in_features", getattr(module, "in_channels", None))


def _channels_out(module: nn.Module) -> int | None:
    return getattr(module, "out_features", getattr(module, "out_channels", None))


def _compared(output: Tensor, dimension: int) -> Tensor:
    """The channels that are compared, of an output (N, ...), with channels in a dimension."""
    channels = output.shape[dimension]
    step = min(output[0].numel() // _COMPARED, channels // 8) | 1  # odd: networks interleave branches by even numbers
    every = [slice(None)] * output.ndim
    every[dimension] = slice(None, None, step)
    return output[tuple(every)]


def _response(values: Tensor, reference: Tensor, dimension: int) -> np.ndarray:
    """How much each cell changes with each patch: the norm over channels, as a part of the output's largest value.

    Args:
        values: (K, ...), of K copies of an image with a patch each.
        reference: (1, ...), of the image.
        dimension: of channels.

    Returns:
        float32 (K, h, w) or (K, tokens).
    """
    change = (values - reference).float()
    scale = float(reference.abs().max())
    # Divided before it is squared, which float32 would round to zero where signals are tiny.
    return change.div_(scale or 1.0).square_().sum(dimension).sqrt_().cpu().numpy()
