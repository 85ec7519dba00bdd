"""A row of the table of agreement."""

ALL_CLASSES = "/"  # no class is called that, since no folder can be
# What agreement is held against, by the name in the tables, in words.
NULLS = {
    "other": "maps of other images of the class",
    "centre": "a blob at the centre",
    "mean_map": "each model's own mean map",
    "random": "networks of random weights",
}
FIGURE_COLUMNS = (
    *("figure", "images", "groups", "left_out", "mean", "sd", "low", "high"),
    *NULLS,
    *(f"excess_{null}{end}" for null in NULLS for end in ("", "_low", "_high")),
    *("group_lowest", "group_highest", "group_sd"),
)
KEYS = (
    *("model_a", "model_b", "kind", "primary", "method", "layer_a", "layer_b", "contrast"),
    *("split", "class_name", "subset"),
)
