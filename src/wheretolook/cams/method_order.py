"""The order in which methods are shown, and in which the first of several is chosen."""

from collections.abc import Iterable


def cam_first(methods: Iterable[str]) -> list[str]:
    """CAM, on which statements rest, then the other methods by name."""
    return sorted(methods, key=lambda method: (method != "cam", method))
