"""The raw files, the index and the prepared arrays: made from each other."""

from collections.abc import Iterator

from wheretolook.data.prepared import Prepared, load_prepared
from wheretolook.data.refusal import Refusal
from wheretolook.verify.arrays import check_array
from wheretolook.verify.finding import Finding
from wheretolook.verify.tree import Tree

FOLDER = "data/prepared"
AUDIT = f"{FOLDER}/audit.json"


def check_prepared(tree: Tree) -> tuple[Prepared | None, list[Finding]]:
    """The prepared data, and its faults: its bytes against its audit, its arrays against each other.

    Returns:
        None for the data where it is not here, or damaged: nothing else can be held against it then.
    """
    if not tree.has(AUDIT) or any(path.startswith(f"{FOLDER}/") for path in tree.broken):
        return None, []
    pinned = tree.json(AUDIT)["sha256"]
    faults = [
        fault
        for name, sha256 in pinned.items()
        if tree.has(f"{FOLDER}/{name}")
        for fault in check_array(tree, f"{FOLDER}/{name}", AUDIT, {"sha256": sha256})
    ]
    try:
        return load_prepared(tree.root / FOLDER), faults
    except Refusal as refusal:
        return None, faults or [Finding(FOLDER, "arrays and an index of one data set", str(refusal), "prepare")]


def check_raw(tree: Tree, prepared: Prepared) -> Iterator[Finding]:
    """Faults of the files that the index names, where the raw files are here."""
    if not (tree.root / "data/raw").is_dir():
        return
    for image_id, sha256 in zip(prepared.index["image_id"], prepared.index["sha256"], strict=True):
        path = f"data/raw/images/{image_id}"
        expected = f"the file that {FOLDER} was made from ({sha256[:12]})"
        if tree.has(path) and tree.sha256(path) != sha256:
            yield Finding(path, expected, tree.sha256(path)[:12], "prepare")
        elif path not in tree.broken and not (tree.root / path).exists():
            yield Finding(path, expected, "nothing", "prepare", missing=True)
