"""Do the layers that are offered have their places where the map says? A patch moves over the image, and they follow.

Random weights; no files are fetched. timm and transformers are optional: what is not installed is left out.
"""

import json
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor, nn

from wheretolook.base.errors import InputError
from wheretolook.cams.engine import build_engine
from wheretolook.layers.layout import to_maps

# Of the correlation between a patch's position and its response's, on each axis; a wrong order of cells has none.
FOLLOWS = 0.8
STEPS = 3
OUT = Path(__file__).with_suffix(".json")


def smallest_of_timm() -> Iterator[tuple[str, Callable[[], nn.Module], int]]:
    """Of each module of timm.models the smallest classifier among those listed in places.json."""
    import timm

    for module, name in json.loads(OUT.with_name("places_timm.json").read_text("utf-8")).items():
        size = timm.get_pretrained_cfg(name)
        side = (size.input_size if size.fixed_input_size else size.min_input_size or size.input_size)[1]
        yield f"timm/{module}/{name}", lambda name=name: timm.create_model(name, num_classes=5), side


def of_torchvision() -> Iterator[tuple[str, Callable[[], nn.Module], int]]:
    """One network of each family of torchvision."""
    from torchvision import models

    names = (
        "alexnet convnext_tiny densenet121 efficientnet_b0 googlenet inception_v3 maxvit_t mnasnet0_5 mobilenet_v2 "
        "mobilenet_v3_small regnet_y_400mf resnet18 shufflenet_v2_x0_5 squeezenet1_1 swin_t swin_v2_t vgg11 vit_b_32"
    )
    for name in names.split():
        extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        side = 299 if name == "inception_v3" else 224
        yield f"torchvision/{name}", lambda n=name, e=extra: models.get_model(n, num_classes=5, **e), side


def of_transformers() -> Iterator[tuple[str, Callable[[], nn.Module], int]]:
    """Image classifiers of transformers, tiny and random."""
    import transformers as t

    vit = {
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "image_size": 64,
        "patch_size": 8,
    }
    kinds = {
        "ViT": vit,
        "DeiT": vit,
        "Beit": vit,
        "Data2VecVision": vit,
        "ViTMSN": vit,
        "IJepa": vit,
        "Dinov2": vit,
        "Dinov2WithRegisters": vit,
        "ResNet": {"embedding_size": 16, "hidden_sizes": [16, 32, 48, 64], "depths": [1, 1, 1, 1]},
        "RegNet": {"embedding_size": 16, "hidden_sizes": [16, 32, 48, 64], "depths": [1, 1, 1, 1], "groups_width": 8},
        "ConvNext": {"hidden_sizes": [16, 24, 32, 48], "depths": [1, 1, 1, 1], "image_size": 64},
        "ConvNextV2": {"hidden_sizes": [16, 24, 32, 48], "depths": [1, 1, 1, 1], "image_size": 64},
        "Swin": {"image_size": 64, "embed_dim": 16, "depths": [1, 1, 2], "num_heads": [2, 2, 2], "window_size": 4},
        "Swinv2": {"image_size": 64, "embed_dim": 16, "depths": [1, 1, 2], "num_heads": [2, 2, 2], "window_size": 4},
        "Hiera": {
            "image_size": [64, 64],
            "embed_dim": 16,
            "depths": [1, 1, 2, 1],
            "num_heads": [1, 2, 2, 4],
            "patch_size": [7, 7],
            "patch_stride": [4, 4],
            "patch_padding": [3, 3],
        },
        "MobileNetV1": {"image_size": 64, "depth_multiplier": 0.25},
        "MobileNetV2": {"image_size": 64, "depth_multiplier": 0.35},
        "PoolFormer": {"hidden_sizes": [16, 24, 32, 48], "depths": [1, 1, 1, 1]},
        "Pvt": {"image_size": 64, "hidden_sizes": [16, 32, 40, 64], "depths": [1, 1, 1, 1]},
        "PvtV2": {"image_size": 64, "hidden_sizes": [16, 32, 40, 64], "depths": [1, 1, 1, 1]},
        "Segformer": {"hidden_sizes": [16, 32, 40, 64], "depths": [1, 1, 1, 1]},
        "FocalNet": {"image_size": 64, "embed_dim": 16, "depths": [1, 1, 1, 1]},
        "Bit": {"embedding_size": 32, "hidden_sizes": [32, 64, 96, 128], "depths": [1, 1, 1, 1], "num_groups": 8},
        "EfficientNet": {"image_size": 64},
    }
    for kind, settings in kinds.items():
        config, model = getattr(t, f"{kind}Config", None), getattr(t, f"{kind}ForImageClassification", None)
        if config is not None and model is not None:
            yield f"transformers/{kind}", lambda c=config, m=model, s=settings: m(c(**s, num_labels=5)), 64
    clip = {**vit, "projection_dim": 16}
    yield (
        "transformers/CLIP",
        lambda: t.CLIPForImageClassification(t.CLIPConfig(vision_config=clip, num_labels=5)),
        64,
    )


def moved(side: int) -> tuple[Tensor, np.ndarray]:
    """An image of noise, and copies in each of which a patch elsewhere is other noise; the patches' centres (K, 2)."""
    generator = torch.Generator().manual_seed(11)
    base, other = torch.randn(2, 3, side, side, generator=generator)
    length = side // 7
    starts = [round((0.05 + 0.45 * step) * (side - length) / 0.95) for step in range(STEPS)]
    images, centres = [base], []
    for top in starts:
        for left in starts:
            image = base.clone()
            box = (slice(None), slice(top, top + length), slice(left, left + length))
            image[box] = 2 * other[box]
            images.append(image)
            centres.append(((top + length / 2) / side, (left + length / 2) / side))
    return torch.stack(images), np.array(centres)


def follows(maps: np.ndarray, centres: np.ndarray) -> float:
    """How well responses follow the patch: the smaller correlation, of rows and of columns.

    Args:
        maps: (1 + K, C, h, w), of the image and of the K images with a patch.
        centres: (K, 2).
    """
    change = np.square((maps[1:] - maps[:1]).astype(np.float64)).sum(1)
    change /= max(change.max(), 1e-300)  # signals of a fresh deep network can be tiny
    change = change - np.median(change, 0)  # what every patch does to a cell says nothing of where it lies
    change = change.clip(0) + 1e-30
    share = change / change.sum((1, 2), keepdims=True)
    found = []
    for axis, length in ((0, maps.shape[2]), (1, maps.shape[3])):
        if length > 1:
            centre = (share.sum(2 - axis) * (np.arange(length) + 0.5) / length).sum(1)
            found.append(float(np.corrcoef(centre, centres[:, axis])[0, 1]) if centre.std() > 0 else 0.0)
    return min(found)


def expected_places(network: nn.Module, images: Tensor) -> int | None:
    """Places of what the network itself calls its last features; None where it says nothing of them."""
    with torch.no_grad():
        if hasattr(network, "forward_features"):
            features = network.forward_features(images[:1])
            features = features[0] if isinstance(features, tuple | list) else features
            if isinstance(features, Tensor) and features.ndim == 3:
                return features.shape[1] - getattr(network, "num_prefix_tokens", 0)
            if isinstance(features, Tensor) and features.ndim == 4:
                last = features.shape[-1] == getattr(network, "num_features", None) != features.shape[1]
                return int(np.prod(features.shape[1:3] if last else features.shape[2:]))
    return None


def check(build: Callable[[], nn.Module], side: int) -> dict[str, object]:
    """Which layers of a network are offered, and how well each follows the patch; or why none is."""
    torch.manual_seed(0)
    network = build().eval()
    began = time.perf_counter()
    try:
        engine = build_engine(network, ["activation"], None, (side, side))
    except InputError as error:
        return {"refused": str(error)[:300]}
    seconds = time.perf_counter() - began
    images, centres = moved(side)
    kept: dict[str, Tensor] = {}
    handles = [
        y.module.register_forward_hook(lambda m, i, output, y=y: kept.update({y.name: output.clone()}))
        for y in engine.layers
    ]
    with torch.no_grad():
        network(images)
    for handle in handles:
        handle.remove()
    layers = {
        y.name: {
            "places": list(y.places),
            "locality": round(y.locality, 3),
            "follows": round(follows(to_maps(kept[y.name], y.layout).float().numpy(), centres), 3),
        }
        for y in engine.layers
    }
    places = expected_places(network, images)
    last = engine.layers[-1].places
    right = layers[engine.layers[-1].name]["follows"] >= FOLLOWS and places in (None, last[0] * last[1])
    return {"layers": layers, "last_right": bool(right), "expected_places": places, "seconds": round(seconds, 2)}


@click.command()
@click.argument("only", nargs=-1)
@click.option("--out", type=click.Path(path_type=Path), default=OUT, show_default=True)
def main(only: tuple[str, ...], out: Path) -> None:
    """Check the networks whose names contain one of ONLY (all, where none is given); add them to the table."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    table = json.loads(out.read_text("utf-8")) if out.exists() else {}
    for source in (of_torchvision, of_transformers, smallest_of_timm):
        try:
            for name, build, side in source():
                if not only or any(part in name for part in only):
                    table[name] = _row(name, build, side)
                    out.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
        except ImportError as error:
            print(f"{source.__name__}: left out, {error}")
    _sum_up(table)


def _row(name: str, build: Callable[[], nn.Module], side: int) -> dict[str, object]:
    try:
        row = check(build, side)
    except Exception as error:  # noqa: BLE001 - of a network that cannot be built or run here
        row = {"failed": f"{type(error).__name__}: {error}"[:200]}
    print(name, side, json.dumps(row)[:400], flush=True)
    return row


def _sum_up(table: dict[str, dict]) -> None:
    for source in ("torchvision", "transformers", "timm"):
        rows = {name: row for name, row in table.items() if name.startswith(source + "/")}
        tried = [row for row in rows.values() if "failed" not in row]
        wrong = [y for row in tried for y in row.get("layers", {}).values() if y["follows"] < FOLLOWS]
        right, refused = sum(row.get("last_right", False) for row in tried), sum("refused" in row for row in tried)
        print(
            f"{source}: {len(rows)} networks, {len(rows) - len(tried)} cannot run here; layers offered "
            f"{sum(len(row.get('layers', {})) for row in tried)}, wrong {len(wrong)}; last layer right {right}, "
            f"refused {refused}, of {len(tried)}"
        )


if __name__ == "__main__":
    main()
