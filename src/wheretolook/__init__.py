"""Class activation maps of image classifiers, and how far to trust them.

    from wheretolook import explain, load_model

    network, card = load_model("models/last-0.safetensors")
    explanation = explain(network, images, methods=["cam"])
    explanation["cam", "block4"]  # (N, K, h, w) float32, raw and signed

The names in `__all__` are the public API (docs/api.md); everything else may change without notice. They are imported on
first use, so `import wheretolook` is fast, and code that needs no network does not load PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wheretolook.base.errors import InputError
    from wheretolook.base.prepared import Prepared, load_prepared
    from wheretolook.cams.explain import Explanation, explain
    from wheretolook.cams.methods.gradients import finer_cam
    from wheretolook.mapstore.store import Maps, load_maps
    from wheretolook.networks.card import Card, read_card
    from wheretolook.networks.checkpoint import load_model
    from wheretolook.networks.inputs import to_input

__all__ = [
    "Card",
    "Explanation",
    "InputError",
    "Maps",
    "Prepared",
    "explain",
    "finer_cam",
    "load_maps",
    "load_model",
    "load_prepared",
    "read_card",
    "to_input",
]

_MODULES = {
    "Card": "networks.card",
    "Explanation": "cams.explain",
    "InputError": "base.errors",
    "Maps": "mapstore.store",
    "Prepared": "base.prepared",
    "explain": "cams.explain",
    "finer_cam": "cams.methods.gradients",
    "load_maps": "mapstore.store",
    "load_model": "networks.checkpoint",
    "load_prepared": "base.prepared",
    "read_card": "networks.card",
    "to_input": "networks.inputs",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
