"""Names of the CAM methods, for code that checks names without loading PyTorch.

To add a method, write its `Method` in a file of `cams/methods/` and its name here; `method_registry` finds the rest.
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
)
