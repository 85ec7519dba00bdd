"""Image files, read as if they stood in one array: decoded by batch, on all cores."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
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
        """Decode some images, (n, S, S, 3) uint8; decoders let other threads run.

        Raises:
            Refusal: a file is no image.
        """
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return np.stack(list(pool.map(self._read, self.paths[rows])))

    def _read(self, path: Path) -> np.ndarray:
        return to_square(decode_image(path), self.size, self.fit)
