"""Which modules of a network have places, judged by the records of a trial."""

from dataclasses import dataclass, field, replace

import numpy as np
from torch import Tensor

from wheretolook.networks.layers.heads import PooledHead
from wheretolook.networks.layers.layout import (
    CHANNELS_FIRST,
    CHANNELS_LAST,
    Hints,
    Layout,
    Order,
    possible_grids,
    to_maps,
)
from wheretolook.networks.layers.outputs import Readout
from wheretolook.networks.layers.places import Grid, Level, Reading, read_layout, read_maps, read_tokens
from wheretolook.networks.layers.recording import Patches, Record, Records

_ROUNDING = 1e-5  # of an output's largest value: smaller changes are rounding


@dataclass(frozen=True)
class TrialResult:
    """What the trial shows of one module's output.

    Attributes:
        number: when it ran, among all modules; of several runs the last.
        shape: of the output for one image; empty where it is no tensor.
        kind: name of the output's type.
        reading: its places; None where it has none.
        by_hand: the user's hints settle how it is read.
        leads: whether the logits depend on its places.
        follows: name of the module whose output it was given; empty where it was given another tensor.
        passes_on: it hands on the very tensor that it was given.
        pads: it only adds rows and columns around what it was given, or hands on the image itself.
        classifies: it gives as many channels as there are classes, from another number.
        flat: it is feature maps in one row, (N, C, h * w).
        constant: it does not depend on the image.
        attention: it is an attention matrix: as many rows as columns, and each row adds up to 1.
        altered: a later layer writes over it.
        head: the linear head that pools its feature maps, where it has places, if there is one.
    """

    number: int
    shape: tuple[int, ...]
    kind: str
    reading: Reading | None = None
    by_hand: bool = False
    leads: bool = False
    follows: str = ""
    passes_on: bool = False
    pads: bool = False
    classifies: bool = False
    flat: bool = False
    constant: bool = False
    attention: bool = False
    altered: bool = False
    head: PooledHead | None = None

    @property
    def usable(self) -> bool:
        """Whether maps can be taken of it: by the patches, or by the user's hints."""
        return self.has_places(Level.NAMED)

    def has_places(self, level: Level) -> bool:
        """As `usable`, by the evidence that a level requires."""
        return self.reading is not None and (self.by_hand or self.reading.passes(level))


@dataclass(frozen=True)
class Trial:
    """What the trial of a network shows.

    Attributes:
        results: of each module that ran, by name, in running order.
        readout: where the logits are.
        patches: what was changed in the images.
        class_count: K, logits of an image.
        writes_images: the network's first step writes over its images.
    """

    results: dict[str, TrialResult]
    readout: Readout
    patches: Patches
    class_count: int
    writes_images: bool


@dataclass(frozen=True)
class _Earlier:
    """What holds for every module of a trial, and what the modules before one have shown.

    Attributes:
        patches: that changed in the second pass.
        hints: of the user.
        grids: of the outputs with believed readings, first to last.
        believed: layouts of tokens, by their count and whether they come before images.
        constant: constant tokens, by the count of tokens, where as many first appear.
    """

    patches: Patches
    hints: Hints
    grids: list[Grid] = field(default_factory=list)
    believed: dict[tuple[int, bool], Layout] = field(default_factory=dict)
    constant: dict[int, frozenset[int]] = field(default_factory=dict)


def judge_records(
    records: Records, gradients: dict[str, Tensor | None], patches: Patches, hints: Hints, class_count: int
) -> dict[str, TrialResult]:
    """The result of each module that ran, by name, in running order.

    Args:
        records: of both passes.
        gradients: of the logits by each output, for one image; empty where the graph is closed.
        patches: that changed in the second pass.
        hints: of the user.
        class_count: K.
    """
    results: dict[str, TrialResult] = {}
    earlier = _Earlier(patches, hints)
    for name, record in records.in_order():
        if record.channels_first is not None and record.constant is not None:
            earlier.constant.setdefault(record.channels_first.shape[1], record.constant)
        result = _judge(record, earlier)
        reading = result.reading
        if reading is not None:
            gradient = gradients.get(name)
            leads = gradient is not None and _any(to_maps(gradient, reading.layout))
            channels = result.shape[reading.layout.channel_dimension]
            result = replace(result, leads=leads, classifies=channels == class_count and record.projects)
            if reading.believed:
                earlier.grids.append(reading.grid)
                if reading.layout.has_tokens and record.channels_first is not None:
                    earlier.believed[record.channels_first.shape[1], record.tokens_first] = reading.layout
        results[name] = result
    if not any(result.leads for result in results.values()):
        # A classifier that is still zero, or a closed graph: nothing shows what leads to the logits.
        return {name: replace(result, leads=result.reading is not None) for name, result in results.items()}
    return results


def _any(maps: Tensor) -> bool:
    """Whether a value (1, C, h, w) is not zero; most often one channel shows it."""
    return bool(maps[:, :1].any()) or bool(maps.any())


def _judge(record: Record, earlier: "_Earlier") -> TrialResult:
    shape = () if record.output is None else tuple(record.output.shape)
    response = record.channels_first
    result = TrialResult(
        record.number,
        shape,
        record.kind,
        follows=record.follows,
        passes_on=record.passes_on,
        pads=record.pads,
        constant=response is not None and not response.any(),
        attention=_is_attention(record.output),
    )
    if response is None or response.max() <= _ROUNDING:
        return result
    if len(record.given) == 4 and shape == (*record.given[:2], record.given[2] * record.given[3]):
        return replace(result, flat=True)
    reading = _read(record, earlier)
    if reading is None:
        return result
    return replace(result, reading=reading, by_hand=_is_by_hand(reading, response, earlier.hints))


def _is_by_hand(reading: Reading, response: np.ndarray, hints: Hints) -> bool:
    """Whether the user's hints settle how an output is read. A grid alone does where no token is outside it."""
    if not reading.layout.has_tokens:
        return hints.layout is reading.layout.order
    if hints.prefix_tokens is not None:
        return True
    return hints.grid == reading.grid and response.shape[1] == reading.grid[0] * reading.grid[1]


def _is_attention(output: Tensor | None) -> bool:
    if output is None or output.ndim not in (3, 4) or not output.shape[-1] == output.shape[-2] > 1:
        return False
    first = output.detach().flatten(0, -3)[:1]
    return bool((first >= 0).all()) and bool(((first.sum(-1) - 1).abs() < 1e-3).all())


def _read(record: Record, earlier: "_Earlier") -> Reading | None:
    response, patches, hints = record.channels_first, earlier.patches, earlier.hints
    if response is None or response.ndim == 3:
        return _read_grid(response, record.channels_last, patches, hints)
    count = response.shape[1]
    layout = None if hints.given else earlier.believed.get((count, record.tokens_first))
    if layout is not None and (reading := read_layout(response, layout, patches)).believed:
        return reading  # as of an earlier layer, so that other grids need no trial
    known = list(dict.fromkeys(reversed(earlier.grids)))
    halves = [((h + 1) // 2, (w + 1) // 2) for h, w in known]
    possible = possible_grids(count, patches.size, known + halves)
    if hints.grid is not None and hints.grid[0] * hints.grid[1] <= count:
        possible = [hints.grid]
    if hints.prefix_tokens is not None:
        possible = [grid for grid in possible if grid[0] * grid[1] == count - hints.prefix_tokens] or possible
    return read_tokens(response, patches, possible, earlier.constant.get(count) or None, record.tokens_first, hints)


def _read_grid(first: np.ndarray | None, last: np.ndarray | None, patches: Patches, hints: Hints) -> Reading | None:
    """The better reading of an output with four dimensions.

    Args:
        first: (K, h, w), the response as channels first.
        last: (K, h, w) as channels last; None where the module is known to give channels first.
        patches: the K patches.
        hints: what the user says.
    """
    if hints.layout in (Order.CHANNELS_FIRST, Order.CHANNELS_LAST):
        first, last = (first, None) if hints.layout is Order.CHANNELS_FIRST else (None, last)
    readings = [
        read_maps(response, layout, patches)
        for response, layout in ((first, CHANNELS_FIRST), (last, CHANNELS_LAST))
        if response is not None and response.shape[1] * response.shape[2] > 1
    ]
    return max(readings, key=lambda reading: (-reading.chance, reading.locality), default=None)
