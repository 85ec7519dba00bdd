"""The arrays of the comparison against the list that says what they are."""

from collections.abc import Iterator

from wheretolook.verify.arrays import check_array
from wheretolook.verify.finding import Finding
from wheretolook.verify.tree import Tree

LIST = "reports/comparison/overlays.json"


def check_comparison(tree: Tree) -> Iterator[Finding]:
    """Faults of the classes' mean maps and spreads: each is there, float32, of the shape that is listed."""
    if not tree.has(LIST):
        return
    models = tree.json(LIST)["models"]
    for described in (entry for views in models.values() for entry in views.values()):
        for file in filter(None, (described["mean"], described["spread"])):
            path = f"data/comparison/{file}"
            if tree.has(path):
                yield from check_array(tree, path, LIST, {"shape": described["shape"], "dtype": "float32"})
            elif (tree.root / "data/comparison").is_dir() and path not in tree.broken:
                yield Finding(path, f"an array that {LIST} names", "nothing", tree.maker(path), missing=True)
