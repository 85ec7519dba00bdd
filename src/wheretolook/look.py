"""Image files and a model file, to overlays: what `wheretolook look` does."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from wheretolook.analysis.classification import softmax
from wheretolook.cams.choose import PREDICTED
from wheretolook.cams.explain import Explanation, explain
from wheretolook.cams.files import ImageFiles
from wheretolook.cams.registry import METHODS
from wheretolook.models.checkpoint import load_model
from wheretolook.models.device import choose_device
from wheretolook.models.inputs import to_input
from wheretolook.report.overlay import Overlay


@dataclass(frozen=True)
class Looked:
    """Images, what the model says of them, and where it looks.

    Attributes:
        names: of the images, each once.
        images: (N, S, S, 3) uint8, as the network saw them.
        class_names: of the logits.
        found: the maps.
    """

    names: tuple[str, ...]
    images: np.ndarray
    class_names: tuple[str, ...]
    found: Explanation

    @property
    def scores(self) -> np.ndarray:
        """(N, classes), softmax of the logits."""
        return softmax(self.found.logits)

    def overlays(self) -> Iterator[Overlay]:
        """Each picture: image by image, then by method and layer, then by class."""
        scores = self.scores
        for i, name in enumerate(self.names):
            for (method, layer), maps in self.found.maps.items():
                for k in range(maps.shape[1]):
                    class_index = self.found.class_index[i, k]
                    class_name, score = self.class_names[class_index], scores[i, class_index]
                    known = METHODS[method].knows_class
                    stem = [name, method, layer, *([class_name] if known else [])]
                    title = (
                        f"{class_name} {score:.3f} · {method} · {layer}" if known else f"{method} · {layer} · any class"
                    )
                    yield Overlay(
                        ".".join(_file_name(part) for part in stem),
                        self.images[i],
                        maps[i, k],
                        title,
                        METHODS[method].units,
                    )


def look_at(
    paths: Sequence[Path],
    model: Path,
    methods: Sequence[str],
    layers: Sequence[str],
    classes: Sequence[str],
    fit: str,
    device: str,
) -> Looked:
    """Maps of image files.

    Args:
        paths: the images.
        model: a model file.
        methods: names; none: cam, or gradcam where a layer has no linear head.
        layers: names, or "all"; none: the last.
        classes: names, or "all"; none: the predicted one of each image.
        fit: how an image becomes a square: "stretch", "pad" or "crop".
        device: as for `choose_device`.

    Raises:
        Refusal: a file that is no image or no model; an unknown method, layer or class.
    """
    network, card = load_model(model, choose_device(device))
    images = ImageFiles(paths, card.input_size, fit)[: len(paths)]
    inputs = to_input(torch.from_numpy(images), card.mean, card.std)
    names = None if "all" in layers else tuple(layers) or card.layers[-1:]
    wanted = card.class_names if "all" in classes else tuple(classes)
    targets = None if wanted else PREDICTED
    found = explain(
        network,
        inputs,
        methods or None,
        names,
        wanted or None,
        class_names=card.class_names,
        targets=targets,
        trained_heads=card.trained_heads,
    )
    return Looked(_distinct([path.stem for path in paths]), images, card.class_names, found)


def _distinct(stems: list[str]) -> tuple[str, ...]:
    """File names, numbered where several images have the same."""
    count, seen, names = Counter(stems), Counter(), []
    for stem in stems:
        seen[stem] += 1
        names.append(f"{stem}-{seen[stem]}" if count[stem] > 1 else stem)
    return tuple(names)


def _file_name(part: str) -> str:
    """Letters, digits and a few signs stay; anything else, as a slash in a class name, becomes an underscore."""
    return re.sub(r"[^\w.+-]", "_", part)
