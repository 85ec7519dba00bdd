"""Where the places of a layer lie: a small patch of the image changes, and the layer's response must peak there.

All functions work on responses: for each of K patches, how much each cell of a layer's output changed, (K, h, w) or
(K, tokens). No network is run here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import cache
from itertools import permutations
from math import log

import numpy as np

from wheretolook.networks.layers.layout import Hints, Layout, tokens_layout
from wheretolook.networks.layers.recording import Patches

Grid = tuple[int, int]


class Level(Enum):
    """How much evidence of places a layer needs: `chance` below, `nearer` and the concentration at the patch above."""

    NAMED = (5e-3, 0.02, 0.05)
    """For a layer that the user names. Its locality says how much it mixes places."""
    DEFAULT = (5e-3, 0.15, 0.15)
    """For a default layer."""
    STRICT = (1e-3, 0.2, 0.2)
    """Where default layers are the same at this level and at the next, no further patches are tried."""
    LENIENT = (0.05, 0.1, 0.1)


# Places may lie off by one cell, or by this part of the image where cells are smaller.
_OFF = 0.05
_OUTERMOST = 0.4  # distance of the outermost patches from the middle, as a part of the image
# Patches' positions explain at least this part of the squared distances of their responses, where a map is off.
_EXPLAINED = 0.8
_SHUFFLES = 720
# Patches that must change a layer at all.
_FEWEST = 4


@dataclass(frozen=True)
class Reading:
    """A layout of a layer's output, and what the patches say of it.

    Attributes:
        layout: how the output is read.
        grid: (h, w).
        hits: patches whose response peaks where they lie, at most one cell off.
        exact: patches whose response peaks in their very cell.
        locality: part of the response (its energy) within one cell of the patch, in the mean.
        chance: part of the shuffles of the patches that fit better, on the axis where it is larger.
        nearer: by how much the response is nearer to its own patch than to others', as a part of the distance, on the
            axis where it is smaller.
        even: the locality of a response that is spread evenly over all cells.
        off: how far places lie from where the grid says, as a part of the image: a shift or a scale, as of a crop or
            of padding.
    """

    layout: Layout
    grid: Grid
    hits: int
    exact: int
    locality: float
    chance: float
    nearer: float
    even: float
    off: float = 0.0

    @property
    def believed(self) -> bool:
        """Whether the layer's places lie where the layout says."""
        return self.passes(Level.NAMED)

    def passes(self, level: Level) -> bool:
        """As `believed`, by the evidence that a level requires."""
        chance, nearer, concentrated = level.value
        enough = self.locality - self.even > concentrated * (1 - self.even)
        return self.chance < chance and self.nearer > nearer and enough and not self.misplaced

    @property
    def misplaced(self) -> bool:
        """Whether a shift or a scale puts places more than a cell away from where the grid says."""
        return self.off > max(_OFF, 1 / min(self.grid))


def read_maps(response: np.ndarray, layout: Layout, patches: Patches) -> Reading:
    """What the patches say of a reading of a layer.

    Args:
        response: (K, h, w), how much each cell changed with each patch.
        layout: how the output was read.
        patches: the K patches.
    """
    _, h, w = response.shape
    hits, exact, locality, even = _peaks(response, patches)
    energy = np.square(response, dtype=np.float64)
    total = energy.sum((1, 2))
    live = total > 0  # a stride of 2 passes over small patches
    if live.sum() < _FEWEST:
        return Reading(layout, (h, w), hits, exact, locality, 1.0, 0.0, even)
    share = energy[live] / total[live, None, None]
    centres = np.array(patches.centres)[live]
    tests = [_follows(share.sum(2 - axis), centres[:, axis]) for axis in (0, 1) if response.shape[1 + axis] > 1]
    chance, nearer = max(t[0] for t in tests), min(t[1] for t in tests)
    return Reading(layout, (h, w), hits, exact, locality, chance, nearer, even, _off(share, centres))


def _off(share: np.ndarray, centres: np.ndarray) -> float:
    """How far a shift and a scale move responses from patches near the image's edge; 0 where neither explains it.

    Args:
        share: (K, h, w), of each patch's response.
        centres: (K, 2) of the patches, as parts of the image.
    """
    excess = share - share.mean(0)  # what all cells answer to says nothing of places
    excess[excess < 0.5 * excess.max((1, 2), keepdims=True)] = 0
    excess /= np.maximum(excess.sum((1, 2), keepdims=True), 1e-300)
    found = []
    for axis in (0, 1):
        cells = (np.arange(share.shape[1 + axis]) + 0.5) / share.shape[1 + axis]
        distance = excess.sum(2 - axis) @ cells - centres[:, axis]  # (K,)
        terms = np.stack([np.ones(len(centres)), centres[:, axis] - 0.5], 1)
        fit = np.linalg.lstsq(terms, distance, rcond=None)[0]
        explained = 1 - np.square(distance - terms @ fit).sum() / max(np.square(distance).sum(), 1e-12)
        found.append(abs(fit[0]) + abs(fit[1]) * _OUTERMOST if explained > _EXPLAINED else 0.0)
    return float(max(found))


def _peaks(response: np.ndarray, patches: Patches) -> tuple[int, int, float, float]:
    """Patches whose response (K, h, w) peaks within a cell of theirs, and in it; its locality, and an even spread's."""
    count, h, w = response.shape
    centres = np.array(patches.centres)
    near_y = np.abs((np.arange(h) + 0.5) / h - centres[:, :1]) <= 1 / h + 1e-9  # (K, h): strides and padding shift
    near_x = np.abs((np.arange(w) + 0.5) / w - centres[:, 1:]) <= 1 / w + 1e-9  # grids by half a cell
    own = np.array([y * w + x for y, x in patches.cells((h, w))])
    found = []
    # Where a cell answers to everything, the relative response peaks right; where two patches share a cell, the bare.
    for values in (selectivity(response.reshape(count, -1)), response.reshape(count, -1)):
        peak = values.argmax(1)
        near = near_y[np.arange(count), peak // w] & near_x[np.arange(count), peak % w]
        found.append((int(near.sum()), int((peak == own).sum())))
    energy = np.square(response, dtype=np.float64)
    half = np.array([((b - t) / 2, (r - y) / 2) for t, y, b, r in patches.boxes]) / patches.size
    own_y = np.abs((np.arange(h) + 0.5) / h - centres[:, :1]) <= half[:, :1] + 1 / h + 1e-9
    own_x = np.abs((np.arange(w) + 0.5) / w - centres[:, 1:]) <= half[:, 1:] + 1 / w + 1e-9
    inside = np.einsum("khw,kh,kw->k", energy, own_y.astype(energy.dtype), own_x.astype(energy.dtype))
    locality = float((inside / np.maximum(energy.sum((1, 2)), 1e-300)).mean())
    return *max(found), locality, float((own_y.mean(1) * own_x.mean(1)).mean())


def _follows(share: np.ndarray, centres: np.ndarray) -> tuple[float, float]:
    """Whether responses along an axis lie where the patches do.

    Args:
        share: (K, cells), of each patch's response.
        centres: (K,) of the patches along the axis, as parts of the image.

    Returns:
        The part of all shuffles of the patches under which responses are nearer, and by how much they are nearer under
        none than in the mean over shuffles.
    """
    cells = (np.arange(share.shape[1]) + 0.5) / share.shape[1]
    cost = share @ np.abs(cells[:, None] - centres)  # (K, K): mean distance of each response to each patch
    shuffled = cost[np.arange(len(centres)), _shuffles(len(centres))].sum(1)
    own = cost.trace()
    return float((shuffled < own - 1e-9).mean()), float(1 - own / shuffled.mean())


@cache
def _shuffles(count: int) -> np.ndarray:
    """Orders of some patches, evenly spread over all: (720 at most, count)."""
    if count > 7:
        return np.random.default_rng(0).permuted(np.tile(np.arange(count), (_SHUFFLES, 1)), axis=1)
    every = np.array(list(permutations(range(count))))
    return every[:: max(1, len(every) // _SHUFFLES)]


def selectivity(response: np.ndarray) -> np.ndarray:
    """How much more each cell (K, cells) answers to a patch than to the others; cells that hardly change have none."""
    mean = response.mean(0, keepdims=True)
    return response / (mean + 0.1 * mean.mean() + 1e-30)


def read_tokens(
    response: np.ndarray,
    patches: Patches,
    grids: Iterable[Grid],
    constant: frozenset[int] | None,
    first: bool,
    hints: Hints,
) -> Reading | None:
    """The best reading of tokens as a grid; None where no grid fits.

    Args:
        response: (K, tokens).
        patches: the K patches.
        grids: (h, w) that may be.
        constant: tokens that are the same for every image, where the tokens are first seen; None: not known.
        first: whether tokens come before images in the output.
        hints: what the user says.
    """
    count, grids = response.shape[1], list(dict.fromkeys(grids))
    left = 0 if constant is None else len(constant)
    fitting = [grid for grid in grids if grid[0] * grid[1] + left == count]
    # Grids that leave out other tokens come second: a small one among many tokens fits by chance more easily.
    for tried in [fitting, grids] if fitting and len(fitting) < len(grids) else [grids]:
        reading = _best_grid(response, patches, tried, constant, first, hints)
        if reading is not None and reading.believed:
            break
    return reading


def _best_grid(
    response: np.ndarray,
    patches: Patches,
    grids: list[Grid],
    constant: frozenset[int] | None,
    first: bool,
    hints: Hints,
) -> Reading | None:
    """The grid whose cells the patches' responses hit most against chance."""
    count = response.shape[1]
    peaks = selectivity(response).argmax(1).tolist()
    best: tuple[tuple[float, float], np.ndarray, Layout] | None = None
    for grid in grids:
        places = grid[0] * grid[1]
        if places > count or places < 2:
            continue
        cells = [y * grid[1] + x for y, x in patches.cells(grid)]
        given = hints.others(count, places)
        for others in _others(count, places, peaks, cells, constant) if given is None else [given]:
            layout = tokens_layout(grid, others, first)
            maps = _token_maps(response, layout)
            hits, exact, locality, _ = _peaks(maps, patches)
            near = min(9 / places, 1.0)
            score = (round(exact * log(places) - hits * log(near), 6), locality)
            if best is None or score > best[0]:
                best = (score, maps, layout)
    return None if best is None else read_maps(best[1], best[2], patches)


def read_layout(response: np.ndarray, layout: Layout, patches: Patches) -> Reading:
    """What the patches say of one layout of tokens.

    Args:
        response: (K, tokens).
        layout: of tokens.
        patches: the K patches.
    """
    return read_maps(_token_maps(response, layout), layout, patches)


def _token_maps(response: np.ndarray, layout: Layout) -> np.ndarray:
    """Response (K, tokens) as maps (K, h, w)."""
    places = np.concatenate([response[:, start:stop] for start, stop in layout.segments], 1)
    return places.reshape(len(response), *(layout.grid or (1, -1)))


def _others(
    count: int, places: int, peaks: list[int], cells: list[int], constant: frozenset[int] | None
) -> list[frozenset[int]]:
    """Which tokens may be no places."""
    extra = count - places
    if extra == 0:
        return [frozenset()]
    if constant is not None and len(constant) == extra:
        return [constant]
    offsets = {peak - cell for peak, cell in zip(peaks, cells, strict=True)} | {0, extra}
    found = [
        frozenset(range(before)) | frozenset(range(before + places, count))
        for before in sorted(offsets)
        if 0 <= before <= extra
    ]
    middle = places // 2
    return [*found, frozenset(range(middle, middle + extra))]
