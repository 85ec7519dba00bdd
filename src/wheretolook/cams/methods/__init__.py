"""The CAM methods. Their names are listed here, for code that checks names without loading PyTorch.

To add a method, write its `Method` in a module of this package and its name here; `method_registry` finds the rest.
"""

METHOD_NAMES: tuple[str, ...] = (
    "cam",
    "gradcam",
    "gradcam++",
    "xgradcam",
    "hirescam",
    "layercam",
    "eigencam",
    "scorecam",
    "ablationcam",
    "activation",
    "legrad",
    "rollout",
)
