"""Which images stand in both sides' test split: only on those can predictions and maps be compared."""

from dataclasses import dataclass

import numpy as np

from wheretolook.data.prepared import TEST, Prepared
from wheretolook.data.refusal import Refusal


@dataclass(frozen=True)
class Shared:
    """Images of both sides, the same file under the same id.

    Attributes:
        rows_a, rows_b: (n,) int64, the row of each in the prepared data of its side.
        only_a, only_b: how many images of the test split the other side does not have there.
    """

    rows_a: np.ndarray
    rows_b: np.ndarray
    only_a: int
    only_b: int


def shared_images(a: Prepared, b: Prepared) -> Shared:
    """Match the test splits of two sides by image_id and the SHA-256 of the file.

    Raises:
        Refusal: the classes differ, so that a contrast means something else; or no image is shared.
    """
    if set(a.class_names) != set(b.class_names):
        one, other = ", ".join(a.class_names), ", ".join(b.class_names)
        raise Refusal(
            f"classes: expected the same on both sides, found {one} and {other}; name two revisions of the same classes"
        )
    if a.sha256 == b.sha256:
        rows = a.rows(TEST)
        return Shared(rows, rows, 0, 0)
    found_a, found_b = _by_identity(a), _by_identity(b)
    both = [identity for identity in found_a if identity in found_b]
    if not both:
        raise Refusal(
            f"data: expected images that both sides have in their {TEST} split, found none; "
            "name two revisions of the same images"
        )
    rows_a, rows_b = (np.array([found[identity] for identity in both]) for found in (found_a, found_b))
    return Shared(rows_a, rows_b, len(found_a) - len(both), len(found_b) - len(both))


def _by_identity(prepared: Prepared) -> dict[tuple[str, str], int]:
    rows = prepared.rows(TEST)
    chosen = prepared.index.iloc[rows]
    return dict(zip(zip(chosen["image_id"], chosen["sha256"], strict=True), rows.tolist(), strict=True))
