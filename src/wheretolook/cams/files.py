"""Image files, read as if they stood in one array."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wheretolook.data.decode import decode_image, to_square


@dataclass(frozen=True)
class ImageFiles:
    """Files as an array of images (N, S, S, 3) uint8 that is never whole in memory: `files[0:64]` decodes 64.

    Attributes:
        paths: the files, in order.
        size: S, pixels.
        fit: how an image becomes a square: "stretch", "pad" or "crop".
    """

    paths: Sequence[Path]
    size: int
    fit: str

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Decode some images, (n, S, S, 3) uint8.

        Raises:
            Refusal: a file is no image.
        """
        return np.stack([self.read(path) for path in self.paths[rows]])

    def read(self, path: Path) -> np.ndarray:
        """Decode one image, (S, S, 3) uint8.

        Raises:
            Refusal: the file is no image.
        """
        return to_square(decode_image(path), self.size, self.fit)
