"""The CAM methods there are. A new one is a file in `methods/` and a line here."""

from wheretolook.cams.methods import (
    ablationcam,
    activation,
    cam,
    eigencam,
    gradcam,
    gradcam_plusplus,
    hirescam,
    layercam,
    scorecam,
    xgradcam,
)
from wheretolook.cams.methods.method import Method
from wheretolook.data.refusal import Refusal

METHODS: dict[str, Method] = {
    module.METHOD.name: module.METHOD
    for module in (
        cam,
        gradcam,
        gradcam_plusplus,
        xgradcam,
        hirescam,
        layercam,
        eigencam,
        scorecam,
        ablationcam,
        activation,
    )
}


def find_method(name: str) -> Method:
    """The method called `name`.

    Raises:
        Refusal: there is none; the message lists those there are.
    """
    if name not in METHODS:
        raise Refusal(f'method "{name}": expected one of {", ".join(METHODS)}')
    return METHODS[name]
