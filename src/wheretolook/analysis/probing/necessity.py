"""Necessity and sufficiency of regions: infilled, beside control places. Runs the network."""

from functools import partial
from typing import Any

import numpy as np

from wheretolook.analysis.explained import open_foremost
from wheretolook.analysis.grid import LABELS, enlarge
from wheretolook.analysis.probing.effects import Changes, Probed, cost_of, difference_of, mean_with_interval, named
from wheretolook.analysis.probing.infills import (
    BLUR,
    IMPUTATION,
    PATCHES,
    Infiller,
    Places,
    best_like,
    donor_of,
    places_like,
)
from wheretolook.mapstore.store import Maps
from wheretolook.networks.runtime.resumable import Piece, compute_unsaved

CONTROLS = 3  # places an image, as far as there are as many
OTHER_CLASSES = 3  # that each class is compared with at its look-alikes, those taken for it most
NO_PLACE = "no place of this size and shape is free of the region"


def model_necessity(
    probed: Probed, maps: Maps, labels: np.ndarray, resamples: int, seed: int, piece: Piece = compute_unsaved
) -> dict[str, list[dict[str, Any]]]:
    """Keys `necessity`, `sufficiency` and `look_alikes` of `docs/results.md`; all empty without masks.

    Args:
        probed: the images.
        maps: of the model; the foremost ones choose look-alike places.
        labels: (N,) int64, of all images of the maps.
        resamples: of each interval.
        seed: of the places, the noise and the intervals.
        piece: keeps what is done: logits, batch by batch.
    """
    if probed.masks is None:
        return {"necessity": [], "sufficiency": [], "look_alikes": []}
    infiller = Infiller(probed.pictures.shape[1])
    places = region_places(probed, seed)
    changes = Changes()
    second = {
        (region, k): _second_infill(places, region, members)
        for region in LABELS
        for k in range(len(probed.class_names))
        if (members := [i for name, i in places if name == region and probed.labels[i] == k])
    }
    # Image by image: changes of one image share its noise.
    for (region, image), found in sorted(places.items(), key=lambda each: each[0][1]):
        _add_region(changes, probed, infiller, region, image, found, second[region, int(probed.labels[image])], seed)
    pairs = _add_look_alikes(changes, probed, infiller, maps, labels, places, seed)
    changes.run(probed, "necessity", piece)
    tables = {
        table: [
            row
            for region in LABELS
            for k in range(len(probed.class_names))
            for row in _rows(changes, probed, table, region, k, resamples, seed)
        ]
        for table in ("necessity", "sufficiency")
    }
    rows = [_look_alike_row(changes, probed, *pair, resamples, seed) for pair in pairs]
    return tables | {"look_alikes": [row for row in rows if row]}


def region_places(probed: Probed, seed: int) -> dict[tuple[str, int], Places]:
    """The pixels of each region in each image that has it, and places of the same shape."""
    out = {}
    for number, (region, own) in enumerate(LABELS.items()):
        for image, mask in enumerate([] if probed.masks is None else probed.masks):
            if np.isin(mask, own).any():
                out[region, image] = places_like(mask, region, 2 * CONTROLS, [seed, int(probed.rows[image]), number])
    return out


def _second_infill(places: dict[tuple[str, int], Places], region: str, members: list[int]) -> str:
    """Patches where half of the images or more have a place to take one from, and a control with another; else blur."""
    fit = sum(len(places[region, image].others) > 1 for image in members)
    return PATCHES if 2 * fit >= len(members) else BLUR


def _add_region(
    changes: Changes,
    probed: Probed,
    infiller: Infiller,
    region: str,
    image: int,
    places: Places,
    second: str,
    seed: int,
) -> None:
    """The changes of one region of one image: region and controls infilled, and all but them."""
    picture, side = probed.pictures[image], probed.pictures.shape[1]
    noise = seed, int(probed.rows[image])
    count = (len(places.others) + 1) // 2
    controls, donors = places.others[:count], len(places.others) - count
    for number, at in enumerate((places.region, *controls)):
        inside = np.zeros((side, side), bool)
        inside.ravel()[at] = True
        role = "control" if number else "region"
        add = lambda table, infill, change, role=role: changes.add((table, region, infill, role), image, change)  # noqa: E731
        add("necessity", IMPUTATION, partial(infiller.impute, picture, inside, noise))
        if second == BLUR:
            add("necessity", BLUR, partial(infiller.blur, picture, inside))
        elif (donor := donor_of(places, at, donors)) is not None:
            add("necessity", PATCHES, partial(infiller.patch, picture, at, donor))
        if number < 2:
            add("sufficiency", IMPUTATION, partial(infiller.impute, picture, ~(inside | frame(side)), noise))
            add("sufficiency", BLUR, partial(infiller.blur_outside, picture, inside))


def frame(side: int) -> np.ndarray:
    """The outermost pixels of an image, which imputation of all the rest starts from: (S, S) bool."""
    out = np.ones((side, side), bool)
    out[1:-1, 1:-1] = False
    return out


def _rows(
    changes: Changes, probed: Probed, table: str, region: str, k: int, resamples: int, seed: int
) -> list[dict[str, Any]]:
    """The rows of one class and region, one for each of two families of infill."""
    own = probed.labels == k
    out = []
    for infill in (IMPUTATION, PATCHES, BLUR):
        there, *cost = changes.cost(probed, (table, region, infill, "region"))
        has, *control = changes.cost(probed, (table, region, infill, "control"))
        there &= own
        if not there.any():
            continue
        kept = table == "sufficiency"
        pair = tuple(each[there] for each in cost), tuple(each[there] for each in control)
        figures = cost_of(*pair, has[there], probed.groups[there], resamples, seed, kept)
        if kept:
            figures |= _kept(figures)
        reason = None if figures["control_images"] else NO_PLACE
        about = {"class_name": probed.class_names[k], "region": region, "infill": infill}
        out.append(about | figures | {"control_reason": reason})
    return out


def _kept(figures: dict[str, Any]) -> dict[str, Any]:
    """Shares of predictions that are kept, from those that flip."""
    less = lambda value: None if value is None else 1 - value  # noqa: E731
    ends = ("kept", "flips"), ("kept_low", "flips_high"), ("kept_high", "flips_low"), ("control_kept", "control_flips")
    return {kept: less(figures[flips]) for kept, flips in ends}


def _add_look_alikes(
    changes: Changes,
    probed: Probed,
    infiller: Infiller,
    maps: Maps,
    labels: np.ndarray,
    places: dict[tuple[str, int], Places],
    seed: int,
) -> list[tuple[str, int, int]]:
    """Have the best look-alike places of other classes infilled: (region, class, other class) of each pair."""
    target = open_foremost(maps, labels)[2]
    if not (target.contrasted and target.every_class):
        return []
    pairs, side = [], probed.pictures.shape[1]
    for region in LABELS:
        for k in range(len(probed.class_names)):
            own = [i for (name, i) in places if name == region and probed.labels[i] == k]
            # A region that every image has, like the thing itself, has no look-alikes: it is compared with itself.
            everywhere = all((region, i) in places for i in range(len(probed.labels)))
            for other in [] if everywhere or not own else _taken_for(probed, k):
                theirs = np.flatnonzero(probed.labels == other)
                scores = enlarge(target.named_class(probed.rows[theirs], k), side)
                drawn = np.random.default_rng([seed, k, other]).permutation(np.resize(own, len(theirs)))
                for image, score, like in zip(theirs, scores, drawn, strict=True):
                    shape = np.stack(np.unravel_index(places[region, like].region, (side, side)), axis=1)
                    at = best_like(score, shape)
                    inside = np.zeros((side, side), bool)
                    inside.ravel()[at] = True
                    noise = seed, int(probed.rows[image])
                    change = partial(infiller.impute, probed.pictures[image], inside, noise)
                    changes.add(("look-alike", region, k, other), int(image), change)
                pairs.append((region, k, other))
    return pairs


def _taken_for(probed: Probed, k: int) -> list[int]:
    """The other classes whose images have the highest mean logit of class k beside their own."""
    there = [c for c in np.unique(probed.labels) if c != k]
    margin = {
        c: float((probed.whole[probed.labels == c][:, k] - probed.whole[probed.labels == c][:, c]).mean())
        for c in there
    }
    return [int(c) for c in sorted(there, key=lambda c: -margin[c])[:OTHER_CLASSES]]


def _look_alike_row(
    changes: Changes, probed: Probed, region: str, k: int, other: int, resamples: int, seed: int
) -> dict[str, Any] | None:
    there, _, lost = changes.cost(probed, ("necessity", region, IMPUTATION, "region"))
    there = there & (probed.labels == k)
    of_k = np.full(len(probed.labels), k)
    theirs, _, elsewhere = changes.cost(probed, ("look-alike", region, k, other), of_k)
    own = mean_with_interval(lost[there], probed.groups[there], resamples, seed)
    best = mean_with_interval(elsewhere[theirs], probed.groups[theirs], resamples, seed)
    return {
        "class_name": probed.class_names[k],
        "other_class": probed.class_names[other],
        "region": region,
        "images": int(there.sum()),
        "other_images": int(theirs.sum()),
        **named("own", own),
        **named("best_elsewhere", best),
        **named("difference", difference_of(own, best)),
    }
