from pathlib import Path

from wheretolook.analysis.agreement.study import comparisons, kind_of_pair, primary_method
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


def test_statements_rest_on_cam_where_every_model_has_it_and_else_on_gradcam() -> None:
    pooled, other = maps("a", ["cam.block2", "gradcam.block2"]), maps("v", ["gradcam.block2", "cam.block1"])
    assert primary_method("auto", {"a": pooled, "b": pooled}) == "cam"
    assert primary_method("auto", {"a": pooled, "v": other}) == "gradcam"
    assert primary_method("cam", {"a": pooled, "v": other}) == "cam"
    assert primary_method("auto", {"a": pooled, "w": maps("w", ["eigencam.block2"])}) == "cam"


def test_primary_pairs_are_kept_where_two_of_the_models_have_the_same_map_as_cam() -> None:
    pooled, other = maps("a", ["cam.block2", "gradcam.block2"]), maps("v", ["gradcam.block2"])
    found = comparisons({"a": pooled, "b": pooled, "v": other}, "gradcam")
    assert [(c.method, c.primary, c.pairs) for c in found] == [
        ("gradcam", True, [("a", "b"), ("a", "v"), ("b", "v")]),
        ("cam", False, [("a", "b")]),
    ]
