"""Stands in for stages/export.py: maps in its layout, drawn at random from the model file's hash."""

from pathlib import Path

import click


@click.command("stand-in", context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def export(name: str, options: tuple[str, ...]) -> None:
    """Write CAMs of one layer, and logits that are their means."""
    import numpy as np

    from wheretolook.base.files import sha256_of, write_json
    from wheretolook.base.prepared import load_prepared

    # For a further test set, as stages/export.py has it.
    test_set = options[options.index("--test_set") + 1] if "--test_set" in options else ""
    data = f"data/tests/{test_set}" if test_set else "data"
    prepared, model = load_prepared(Path(data, "prepared")), sha256_of(Path(f"models/{name}.safetensors"))
    classes, folder = list(prepared.class_names), Path(data, "cams", name)
    folder.mkdir(parents=True)
    generator = np.random.default_rng(int(model[:8], 16))
    maps = generator.normal(size=(len(prepared.images), len(classes), 6, 6)).astype(np.float32)
    named = {
        "cam.block2.npy": ({"method": "cam", "layer": "block2", "knows_class": True}, maps),
        "logits.npy": ({}, maps.mean((2, 3))[:, None]),
    }
    arrays = {}
    for file, (about, array) in named.items():
        np.save(folder / file, array)
        pinned = {"shape": list(array.shape), "dtype": "float32", "units": "logits", "sha256": sha256_of(folder / file)}
        arrays[file] = about | pinned
    manifest = {
        "format": 1,
        "model": {"name": name, "sha256": model, "architecture": "looknet", "loss": "last", "seed": 0, "recipe": ""},
        "data": {"sha256": prepared.sha256, "images": len(maps)},
        "class_names": classes,
        "map_classes": classes,
        "layers": ["block1", "block2"],
        "heads": ["block2"],
        "precision": "float32",
        "arrays": arrays,
    }
    for path in (
        folder / "manifest.json",
        Path(f"reports/{f'tests/{test_set}' if test_set else 'exports'}/{name}.json"),
    ):
        write_json(path, manifest)


if __name__ == "__main__":
    export()
