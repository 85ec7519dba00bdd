"""The CAM methods, by name. To add one: write its function and its `Method`, and list it here."""

from wheretolook.base.errors import InputError
from wheretolook.cams.methods.activations import ACTIVATION, EIGENCAM
from wheretolook.cams.methods.gradients import CAM, GRADCAM, GRADCAM_PLUSPLUS, HIRESCAM, LAYERCAM, XGRADCAM
from wheretolook.cams.methods.method import Method
from wheretolook.cams.methods.perturbations import ABLATIONCAM, SCORECAM

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        CAM,
        GRADCAM,
        GRADCAM_PLUSPLUS,
        XGRADCAM,
        HIRESCAM,
        LAYERCAM,
        EIGENCAM,
        SCORECAM,
        ABLATIONCAM,
        ACTIVATION,
    )
}


def find_method(name: str) -> Method:
    """The method of that name.

    Raises:
        InputError: there is none; the message lists the known ones.
    """
    if name not in METHODS:
        raise InputError("methods", f"one of {', '.join(METHODS)}", repr(name))
    return METHODS[name]
