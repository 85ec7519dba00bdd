"""The CAM methods by name, collected from the modules of this package.

To add a method, write its `Method` in a module of this package, and its name in `CAM_METHODS` (`mapstore/store.py`).
"""

from collections.abc import Iterator
from difflib import get_close_matches
from importlib import import_module
from pkgutil import iter_modules

from wheretolook.base.errors import InputError
from wheretolook.cams.methods.method import Method
from wheretolook.mapstore.store import CAM_METHODS


def _defined() -> Iterator[Method]:
    """Every `Method` object that a module in `cams/methods/` defines at its top level."""
    for module in iter_modules(__path__, f"{__name__}."):
        for value in vars(import_module(module.name)).values():
            if isinstance(value, Method):
                yield value


def _collect() -> dict[str, Method]:
    """The methods in the order of `CAM_METHODS`.

    Raises:
        RuntimeError: `CAM_METHODS` and the modules disagree: a name is missing on either side, or used twice.
    """
    found = list(_defined())
    if sorted(method.name for method in found) != sorted(CAM_METHODS):
        raise RuntimeError(
            f"mapstore/store.py lists {sorted(CAM_METHODS)}, "
            f"cams/methods/ defines {sorted(method.name for method in found)}"
        )
    return {method.name: method for method in sorted(found, key=lambda method: CAM_METHODS.index(method.name))}


METHODS: dict[str, Method] = _collect()


def find_method(name: str) -> Method:
    """The method with this name.

    Raises:
        InputError: unknown name; the message lists the known ones.
    """
    if name not in METHODS:
        near = get_close_matches(name, METHODS, n=1)
        raise InputError(
            "methods",
            expected=f"one of {', '.join(METHODS)}",
            found=f'"{name}"',
            hint=f'did you mean "{near[0]}"?' if near else "",
        )
    return METHODS[name]
