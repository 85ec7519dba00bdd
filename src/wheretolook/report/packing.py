"""Maps and pictures small enough to stand inside a page: 8 bits a cell, deflated, in base64."""

import base64
import io
import zlib

import numpy as np

from wheretolook.analysis.maps.grid import to_grid

STEPS = 127


def quantise(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Signed maps in 8 bits, with one scale for each image, so that its classes can still be subtracted.

    Args:
        maps: (n, K, h, w) float32.

    Returns:
        scales (n,) float32 and steps (n, K, h, w) int8, with maps ≈ steps * scale; off by at most half a scale, that is
        1/254 of the image's largest value.
    """
    scales = (np.abs(maps).max(axis=(1, 2, 3)) / STEPS).astype(np.float32)
    divisor = np.where(scales > 0, scales, 1)[:, None, None, None]
    return scales, np.rint(maps / divisor).clip(-STEPS, STEPS).astype(np.int8)


def limit_cells(maps: np.ndarray, cells: int) -> np.ndarray:
    """Maps (n, K, h, w) averaged by area down to `cells` a side, where they are finer."""
    return to_grid(maps, (min(maps.shape[2], cells), min(maps.shape[3], cells)))


def pack_maps(maps: np.ndarray) -> str:
    """What `loadMaps` in unpack.js reads: deflated scales (float32, little-endian) and steps (int8), in base64.

    In place of the last class stands the sum of all, modulo 256: what speaks for one class speaks against the others,
    so the sum is mostly small and deflates well (a quarter of the page). The last class is had back exactly.
    """
    scales, steps = quantise(maps)
    steps[:, -1] = steps.sum(axis=1, dtype=np.int8)
    return deflated(scales.astype("<f4").tobytes() + steps.tobytes())


def deflated(content: bytes) -> str:
    """Bytes, deflated without a header (as the browser's "deflate-raw" wants them), in base64."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    return base64.b64encode(squeeze.compress(content) + squeeze.flush()).decode("ascii")


def picture(image: np.ndarray, quality: int = 85) -> str:
    """An image (S, S, 3) uint8 as the data address of a WebP."""
    from PIL import Image

    written = io.BytesIO()
    Image.fromarray(image).save(written, "WEBP", quality=quality, method=4)
    return "data:image/webp;base64," + base64.b64encode(written.getvalue()).decode("ascii")
