from pathlib import Path

from wheretolook.analysis.agreement.study import comparisons, kind_of_pair
from wheretolook.mapstore.store import Maps


def maps(name: str, names: list[str], layers: tuple[str, ...] = ("block1", "block2")) -> Maps:
    split = {f"{each}.npy": dict(zip(("method", "layer"), each.split("."), strict=True)) for each in names}
    return Maps(Path(name), {"layers": list(layers), "heads": [layers[-1]], "arrays": split})


def about(name: str, loss: str, seed: int) -> dict:
    return {"name": name, "loss": loss, "seed": seed, "sha256": str(seed), "recipe": f"of {loss}"}


def test_models_of_one_recipe_differ_in_nothing_but_the_seed() -> None:
    assert kind_of_pair(about("a", "last", 0), about("b", "last", 1), []) == "seeds"
    assert kind_of_pair(about("a", "last", 0), about("b", "every", 1), []) == "recipes"
    assert kind_of_pair(about("a", "last", 0), about("b", "last", 1), ["b"]) == "drive"


def test_layers_are_compared_by_name_and_the_last_by_place() -> None:
    models = {
        "a": maps("a", ["cam.block2", "gradcam.block1", "gradcam.block2"]),
        "b": maps("b", ["cam.block2", "gradcam.block1", "gradcam.block2"]),
        "r": maps("r", ["cam.layer4", "gradcam.layer1", "gradcam.layer4"], ("layer1", "layer4")),
    }
    found = comparisons(models)
    assert [(c.method, c.primary, c.pairs) for c in found] == [
        ("cam", True, [("a", "b"), ("a", "r"), ("b", "r")]),
        ("gradcam", False, [("a", "b")]),
    ]
    assert found[0].layers == {"a": "block2", "b": "block2", "r": "layer4"}
    assert found[1].layers == {"a": "block1", "b": "block1"}


def test_gradcam_of_the_last_layer_counts_where_a_model_has_no_cam() -> None:
    models = {"a": maps("a", ["cam.block2", "gradcam.block2"]), "v": maps("v", ["gradcam.block2"])}
    found = comparisons(models)
    assert [(c.method, c.primary, c.pairs) for c in found] == [("gradcam", False, [("a", "v")])]
