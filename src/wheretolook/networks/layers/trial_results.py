"""Which modules of a network have places, judged by the records of a trial."""

from dataclasses import dataclass, replace

from torch import Tensor

from wheretolook.networks.layers.layout import Hints, Layout, Order, to_maps
from wheretolook.networks.layers.places import (
    Grid,
    Patches,
    Reading,
    possible_grids,
    read_grid,
    read_layout,
    read_tokens,
)
from wheretolook.networks.layers.recording import Record, Records

_ROUNDING = 1e-5  # of an output's largest value: smaller changes are rounding


@dataclass(frozen=True)
class TrialResult:
    """What the trial shows of one module's output.

    Attributes:
        number: when it ran, among all modules; of several runs the last.
        shape: of the output for one image; empty where it is no tensor.
        kind: name of the output's type.
        reading: its places; None where it has none.
        usable: whether maps can be taken of it: by the patches, or by the user's hints.
        leads: whether the logits depend on its places.
        follows: name of the module whose output it was given; empty where it was given another tensor.
        flat: it is feature maps in one row, (N, C, h * w).
        constant: it does not depend on the image.
        attention: it is an attention matrix: as many rows as columns, and each row adds up to 1.
    """

    number: int
    shape: tuple[int, ...]
    kind: str
    reading: Reading | None = None
    usable: bool = False
    leads: bool = False
    follows: str = ""
    flat: bool = False
    constant: bool = False
    attention: bool = False


def judge_records(
    records: Records, gradients: dict[str, Tensor | None], patches: Patches, hints: Hints
) -> dict[str, TrialResult]:
    """The result of each module that ran, by name, in running order.

    Args:
        records: of both passes.
        gradients: of the logits by each output, for one image; empty where the graph is closed.
        patches: that changed in the second pass.
        hints: of the user.
    """
    results: dict[str, TrialResult] = {}
    grids: list[Grid] = []
    believed: dict[tuple[int, bool], Layout] = {}  # of tokens, by their count and whether they come before images
    constant: dict[int, frozenset[int]] = {}  # constant tokens, where as many tokens first appear
    for name, record in records.in_order():
        if record.channels_first is not None and record.constant is not None:
            constant.setdefault(record.channels_first.shape[1], record.constant)
        result = _judge(record, patches, grids, believed, constant, hints)
        reading = result.reading
        if reading is not None:
            gradient = gradients.get(name)
            leads = gradient is not None and bool(to_maps(gradient, reading.layout).any())
            result = replace(result, leads=leads)
            if reading.believed:
                grids.append(reading.grid)
                if reading.layout.has_tokens and record.channels_first is not None:
                    believed[record.channels_first.shape[1], record.tokens_first] = reading.layout
        results[name] = result
    if not any(result.leads for result in results.values()):
        # A classifier that is still zero, or a closed graph: nothing shows what leads to the logits.
        return {name: replace(result, leads=result.reading is not None) for name, result in results.items()}
    return results


def _judge(
    record: Record,
    patches: Patches,
    grids: list[Grid],
    believed: dict[tuple[int, bool], Layout],
    constant: dict[int, frozenset[int]],
    hints: Hints,
) -> TrialResult:
    shape = () if record.output is None else tuple(record.output.shape)
    response = record.channels_first
    result = TrialResult(
        record.number,
        shape,
        record.kind,
        follows=record.follows,
        constant=response is not None and not response.any(),
        attention=_is_attention(record.output),
    )
    if response is None or response.max() <= _ROUNDING:
        return result
    if len(record.given) == 4 and shape == (*record.given[:2], record.given[2] * record.given[3]):
        return replace(result, flat=True)
    reading = _read(record, patches, grids, believed, constant, hints)
    if reading is None:
        return result
    by_hand = (hints.grid == reading.grid or hints.prefix_tokens is not None) and len(shape) == 3
    by_hand = by_hand or (hints.layout is not None and hints.layout is reading.layout.order)
    return replace(result, reading=reading, usable=reading.believed or by_hand)


def _is_attention(output: Tensor | None) -> bool:
    if output is None or output.ndim not in (3, 4) or not output.shape[-1] == output.shape[-2] > 1:
        return False
    first = output.detach().flatten(0, -3)[:1]
    return bool((first >= 0).all()) and bool(((first.sum(-1) - 1).abs() < 1e-3).all())


def _read(
    record: Record,
    patches: Patches,
    grids: list[Grid],
    believed: dict[tuple[int, bool], Layout],
    constant: dict[int, frozenset[int]],
    hints: Hints,
) -> Reading | None:
    response = record.channels_first
    if response is None or response.ndim == 3:
        return read_grid(response, record.channels_last, patches, hints)
    count = response.shape[1]
    layout = None if hints.given else believed.get((count, record.tokens_first))
    if layout is not None and (reading := read_layout(response, layout, patches)).believed:
        return reading  # as of an earlier layer, so that other grids need no trial
    known = list(dict.fromkeys(reversed(grids)))
    halves = [((h + 1) // 2, (w + 1) // 2) for h, w in known]
    possible = possible_grids(count, patches.size, known + halves)
    if hints.grid is not None and hints.grid[0] * hints.grid[1] <= count:
        possible = [hints.grid]
    if hints.prefix_tokens is not None:
        possible = [grid for grid in possible if grid[0] * grid[1] == count - hints.prefix_tokens] or possible
    first = record.tokens_first or hints.layout is Order.TOKENS_FIRST
    return read_tokens(response, patches, possible, constant.get(count) or None, first, hints)
