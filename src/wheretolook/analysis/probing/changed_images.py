"""Many changed images through the network, in batches that survive an interruption: runs the network."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from torch import nn
from tqdm import tqdm

from wheretolook.analysis.probing.effects import losses
from wheretolook.analysis.probing.model_faithfulness import BATCH, folded, run
from wheretolook.analysis.probing.pieces import Piece
from wheretolook.analysis.probing.removed_images import choose_images
from wheretolook.analysis.statistics.groups import group_codes
from wheretolook.data.prepared import TEST, Prepared
from wheretolook.models.card import Card
from wheretolook.models.network import Network

Change = Callable[[], np.ndarray]  # makes one changed image, (S, S, 3) of values 0 to 255


@dataclass(frozen=True)
class Probed:
    """Test images that are changed, and what the network makes of them as they are.

    Attributes:
        rows: (n,) int64, of the prepared data.
        pictures: (n, S, S, 3) uint8.
        masks: (n, S, S) uint8, or None.
        labels, groups: (n,) int64.
        class_names: K names, in the order of the data.
        whole: (n, K) float64 logits, in the order of the data's classes.
        network: that gives logits of network inputs.
        card: of the model.
    """

    rows: np.ndarray
    pictures: np.ndarray
    masks: np.ndarray | None
    labels: np.ndarray
    groups: np.ndarray
    class_names: tuple[str, ...]
    whole: np.ndarray
    network: nn.Module
    card: Card

    @property
    def columns(self) -> list[int]:
        """The card's column of each class of the data."""
        return [self.card.class_names.index(name) for name in self.class_names]


def probed_images(network: Network, card: Card, prepared: Prepared, images: int, seed: int) -> Probed | None:
    """The test images that are changed, those of `model_faithfulness`; None where there are none.

    Args:
        network: in evaluation mode.
        card: of the model; its classes are those of the data, in any order.
        prepared: the data.
        images: at most as many, equally many of each class.
        seed: of the choice.
    """
    rows = choose_images(prepared.labels, prepared.rows(TEST), images, len(prepared.class_names), seed)
    if not len(rows):
        return None
    pictures, groups = np.asarray(prepared.images[rows]), group_codes(prepared.index["group"].to_numpy(dtype=str))
    masks = None if prepared.masks is None else np.asarray(prepared.masks[rows])
    fast = folded(network, card, pictures[:2])
    columns = [card.class_names.index(name) for name in prepared.class_names]
    whole = run(fast, card, pictures)[:, columns]
    names = prepared.class_names
    return Probed(rows, pictures, masks, prepared.labels[rows], groups[rows], names, whole, fast, card)


@dataclass
class Changes:
    """Changes of images to run, by key, and then what they cost.

    Attributes:
        wanted: key to (image, change) of each changed image; an image may have several, its draws.
        found: key to (image numbers (m,), logits (m, K)) once they have run.
    """

    wanted: dict[tuple, list[tuple[int, Change]]] = field(default_factory=dict)
    found: dict[tuple, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def add(self, key: tuple, image: int, change: Change) -> None:
        """Have one more changed image run."""
        self.wanted.setdefault(key, []).append((image, change))

    def run(self, probed: Probed, name: str, piece: Piece) -> "Changes":
        """Run all of them, batch by batch.

        Args:
            probed: the images.
            name: of the pieces and the progress bar.
            piece: keeps what is done.
        """
        flat = [(key, image, change) for key, each in self.wanted.items() for image, change in each]
        rows: list[list[float]] = []
        for start in tqdm(range(0, len(flat), BATCH), desc=name, unit="batch", disable=None):
            batch = [change for *_, change in flat[start : start + BATCH]]
            make = lambda batch=batch: run(probed.network, probed.card, np.stack([each() for each in batch])).tolist()  # noqa: E731
            rows += piece(f"{name} {start}", make)
        logits, start = np.array(rows).reshape(len(rows), -1)[:, probed.columns if rows else []], 0
        for key, each in self.wanted.items():
            self.found[key] = np.array([image for image, _ in each]), logits[start : start + len(each)]
            start += len(each)
        return self

    def cost(
        self, probed: Probed, key: tuple, labels: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What the changes of a key cost each image, averaged over its draws.

        Args:
            probed: the images.
            key: of the changes.
            labels: (n,) int64, the class whose log-odds count; None: the true one.

        Returns:
            (n,) bool, which images have such changes; (n,) share of draws whose prediction flips; (n,) log-odds lost;
            0 where there is none.
        """
        count = len(probed.labels)
        if key not in self.found:
            return np.zeros(count, bool), np.zeros(count), np.zeros(count)
        images, logits = self.found[key]
        classes = probed.labels if labels is None else labels
        flips, lost = losses(probed.whole[images], logits, classes[images])
        draws = np.bincount(images, minlength=count)
        means = (np.bincount(images, weights=each, minlength=count) / np.maximum(draws, 1) for each in (flips, lost))
        return draws > 0, *means
