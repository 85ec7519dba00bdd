"""Cost of changing a property of the whole image, exchanged or destroyed. Runs the network."""

from functools import partial
from typing import Any

import numpy as np

from wheretolook.analysis.grid import LABELS
from wheretolook.analysis.probing import cues
from wheretolook.analysis.probing.effects import Changes, Probed, cost_of
from wheretolook.analysis.probing.infills import Infiller
from wheretolook.runtime.resumable import Piece, compute_unsaved

CHANGED, FLOOR = "changed", "floor"
OUTSIDE = "outside object"
DESTROYED = ("blur", "texture")
CUES = (*cues.EXCHANGES, OUTSIDE, *DESTROYED)


def model_cues(probed: Probed, resamples: int, seed: int, piece: Piece = compute_unsaved) -> list[dict[str, Any]]:
    """Key `global_cues` of `docs/results.md`: one row for each cue and class.

    Hue, saturation, brightness and frequency come from an image of another class (the floor: of the same class), and so
    does what lies outside the object, where masks have one. Blur and a shuffle of patches destroy (the floor: a blur
    of half a pixel, a shift of two pixels).

    Args:
        probed: the images.
        resamples: of each interval.
        seed: of donors, shuffles and intervals.
        piece: keeps what is done: logits, batch by batch.
    """
    changes, things = Changes(), objects(probed)
    donors = {CHANGED: _donors(probed, seed, same=False), FLOOR: _donors(probed, seed, same=True)}
    backgrounds = _Backgrounds(probed, things)
    for image, picture in enumerate(probed.pictures):
        for role, donor_of in donors.items():
            if (donor := donor_of[image]) < 0:
                continue
            four = picture, probed.pictures[donor], things[image], things[donor]
            for cue, exchange in cues.EXCHANGES.items():
                changes.add((cue, role), image, partial(exchange, *four))
            if not (things[image].all() or things[donor].all()):
                background = partial(backgrounds.placed, image, int(donor))
                changes.add((OUTSIDE, role), image, background)
        generator = np.random.default_rng([seed, int(probed.rows[image])])
        changes.add(("blur", CHANGED), image, partial(cues.blurred, picture, cues.BLURRED))
        changes.add(("blur", FLOOR), image, partial(cues.blurred, picture, cues.HARDLY_BLURRED))
        changes.add(("texture", CHANGED), image, partial(cues.shuffled, picture, generator))
        changes.add(("texture", FLOOR), image, partial(cues.shifted, picture))
    changes.run(probed, "global cues", piece)
    return [
        row
        for cue in CUES
        for k in range(len(probed.class_names))
        if (row := _row(changes, probed, cue, k, resamples, seed))
    ]


def objects(probed: Probed) -> np.ndarray:
    """The object of each image, its foreground with the evidence: (n, S, S) bool; all of it where masks have none."""
    if probed.masks is None:
        return np.ones(probed.pictures.shape[:3], bool)
    inside = np.isin(probed.masks, LABELS["foreground"])
    return inside | ~inside.any(axis=(1, 2), keepdims=True)


class _Backgrounds:
    """Images with their objects imputed, made when the first object is put on one."""

    def __init__(self, probed: Probed, things: np.ndarray) -> None:
        self._probed, self._things = probed, things
        self._made: dict[int, np.ndarray] = {}
        self._infiller = Infiller(probed.pictures.shape[1])

    def placed(self, image: int, donor: int) -> np.ndarray:
        """The object of an image on a donor's background."""
        if donor not in self._made:
            picture, thing = self._probed.pictures[donor], self._things[donor]
            self._made[donor] = self._infiller.impute(picture, thing, None).astype(np.float32)
        return cues.onto(self._probed.pictures[image], self._things[image], self._made[donor])


def _donors(probed: Probed, seed: int, same: bool) -> np.ndarray:
    """For each image one of its own class (of another group, where there is one), or of another: (n,), -1 for none."""
    generator, out = np.random.default_rng([seed, int(same)]), np.full(len(probed.labels), -1)
    for i, label in enumerate(probed.labels):
        others = np.flatnonzero((probed.labels == label) == same)
        others = others[others != i]
        elsewhere = others[probed.groups[others] != probed.groups[i]]
        choice = elsewhere if len(elsewhere) else others
        if len(choice):
            out[i] = generator.choice(choice)
    return out


def _row(changes: Changes, probed: Probed, cue: str, k: int, resamples: int, seed: int) -> dict[str, Any] | None:
    there, *cost = changes.cost(probed, (cue, CHANGED))
    has, *floor = changes.cost(probed, (cue, FLOOR))
    there = there & (probed.labels == k)
    if not there.any():
        return None
    pair = tuple(each[there] for each in cost), tuple(each[there] for each in floor)
    figures = cost_of(*pair, has[there], probed.groups[there], resamples, seed)
    renamed = {"control_images": "floor_images", "control_flips": "floor_flips", "control_log_odds": "floor_log_odds"}
    about = {"cue": cue, "class_name": probed.class_names[k], "exchanged": cue not in DESTROYED}
    return about | {renamed.get(key, key): value for key, value in figures.items()}
