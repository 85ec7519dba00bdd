"""Occlusion maps on the grid of the CAMs: a check that reads outputs instead of weights. Runs the network.

Each cell of the grid is imputed in turn, and the log-odds of the true class that it costs are the cell's value
(Zeiler and Fergus 2014, arXiv:1311.2901).
"""

from functools import partial
from typing import Any

import numpy as np

from wheretolook.analysis.explained import open_foremost
from wheretolook.analysis.grid import correlate, to_grid
from wheretolook.analysis.probing.effects import Changes, Probed, losses, mean_with_interval
from wheretolook.analysis.probing.faithfulness import choose_images
from wheretolook.analysis.probing.imputation import LinearImputer
from wheretolook.mapstore.store import Maps
from wheretolook.networks.runtime.resumable import Piece, compute_unsaved

PER_CLASS = 24  # images; an interval takes 20, and some have a constant map
MOST = 96  # images of all classes together
LARGEST_GRID = 7  # cells a side; finer maps are averaged


def model_occlusion(
    probed: Probed, maps: Maps, labels: np.ndarray, resamples: int, seed: int, piece: Piece = compute_unsaved
) -> list[dict[str, Any]]:
    """Key `occlusion` of `docs/results.md`: by class, Pearson's r of occlusion with the foremost maps, image by image.

    Args:
        probed: the images, of which some are chosen.
        maps: of the model.
        labels: (N,) int64, of all images of the maps.
        resamples: of each interval.
        seed: of the choice and the intervals.
        piece: keeps what is done: logits, batch by batch.
    """
    method, layer, target = open_foremost(maps, labels)
    count = len(probed.class_names)
    chosen = choose_images(probed.labels, np.arange(len(probed.labels)), min(PER_CLASS * count, MOST), count, seed)
    grid = min(LARGEST_GRID, target.grid[0]), min(LARGEST_GRID, target.grid[1])
    compared = to_grid(target.true_class(probed.rows[chosen]), grid)
    occluded = occlusion_maps(probed, chosen, grid, piece)
    own_maps, occlusion = (each.reshape(len(chosen), -1).astype(np.float32) for each in (compared, occluded))
    r, valid = correlate(own_maps, occlusion)
    rows = []
    for k, name in enumerate(probed.class_names):
        own = valid & (probed.labels[chosen] == k)
        if own.any():
            mean, low, high = mean_with_interval(r[own], probed.groups[chosen][own], resamples, seed)
            about = {"class_name": name, "method": "occlusion", "maps": f"{method}.{layer}", "grid": list(grid)}
            rows.append(about | {"images": int(own.sum()), "r": mean, "r_low": low, "r_high": high})
    return rows


def occlusion_maps(
    probed: Probed, chosen: np.ndarray, grid: tuple[int, int], piece: Piece = compute_unsaved
) -> np.ndarray:
    """Log-odds of the true class that each cell costs: (m, h, w) float64.

    Args:
        probed: the images.
        chosen: (m,) int64, which of them.
        grid: (h, w) cells.
        piece: keeps what is done.
    """
    side, changes = probed.pictures.shape[1], Changes()
    edges = [np.linspace(0, side, cells + 1).round().astype(int) for cells in grid]
    imputer, cells = LinearImputer(side), []
    for y in range(grid[0]):
        for x in range(grid[1]):
            cell = np.zeros((side, side), bool)
            cell[edges[0][y] : edges[0][y + 1], edges[1][x] : edges[1][x + 1]] = True
            cells.append(cell)
    for number, missing in enumerate(cells):
        filled = _Filled(imputer, probed.pictures[chosen], missing)
        for place, image in enumerate(chosen):
            changes.add((number,), int(image), partial(filled.image, place))
    changes.run(probed, "occlusion", piece)
    out = np.zeros((len(chosen), len(cells)))
    for number in range(len(cells)):
        images, logits = changes.found[number,]
        out[:, number] = losses(probed.whole[images], logits, probed.labels[images])[1]
    return out.reshape(len(chosen), *grid)


class _Filled:
    """All images with one cell imputed, solved at once when the first is needed, and dropped with the last."""

    def __init__(self, imputer: LinearImputer, pictures: np.ndarray, missing: np.ndarray) -> None:
        self._imputer, self._pictures, self._missing = imputer, pictures, missing
        self._done: np.ndarray | None = None

    def image(self, place: int) -> np.ndarray:
        """One of the images, (S, S, 3) float32."""
        if self._done is None:
            self._done = self._imputer.fill(self._pictures, self._missing).astype(np.float32)
        filled = self._done[place]
        if place == len(self._pictures) - 1:
            self._done = None
        return filled
