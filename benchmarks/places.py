"""Do the default layers have their places where the map says? The gradient of single places by the image shows it.

Of up to nine cells of a layer, spread over its grid, a random sum of the channels is taken; the energy of its gradient
by the image must lie in the cell's own part of the image. The trial works the other way round, from patches of the
image to cells, with other images and another statistic. Random weights; no files are fetched. What is not installed
(timm, transformers) is left out. Each network runs in a process of its own, with limits of time and memory, and its row
is written at once: an interrupted run continues where it stopped.

The trial's limits were chosen while looking at the rows `torchvision`, `transformers` and `timm`. The rows `held-out`
are other models of timm's modules, which were first tried when the limits were final.
"""

import copy
import json
import multiprocessing
import resource
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from math import isqrt
from multiprocessing.connection import Connection
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor, nn

from wheretolook.base.errors import InputError
from wheretolook.cams.engine import build_engine
from wheretolook.networks.layers.heads import Layer
from wheretolook.networks.layers.layout import to_maps, tokens_layout
from wheretolook.networks.layers.steadiness import steady
from wheretolook.networks.layers.trial import find_trial

# Share of cells whose gradient must lie in their own part of the image more than in the other cells' parts. A layer
# whose cells lie elsewhere reaches it by chance with a probability of 0.02 % for nine cells, 5 % for four (2 x 2).
FOLLOWS = 2 / 3
# Gradients below this are computed again in float64: float32 rounds the signals of a fresh deep network to zero.
TINY = 1e-12
# Limits of one network's process: time on its CPU, memory, and time in all, on a machine that does other work too.
SECONDS, BYTES, PATIENCE = 900, 12 << 30, 3600
# Cells of one forward pass: the graph of large networks takes gigabytes for each.
CELLS = 3
# Images whose gradients are added up for a layer whose cells do not all follow the first one or two.
IMAGES = 8
OUT = Path(__file__).with_suffix(".json")


def smallest_of_timm() -> Iterator[tuple[str, Callable[[], nn.Module], int]]:
    """Of each module of timm.models the smallest classifier among those listed in places_timm.json."""
    return _of_timm("timm", "places_timm.json")


def held_out_of_timm() -> Iterator[tuple[str, Callable[[], nn.Module], int]]:
    """Of each module of timm.models with several families another model, as listed in places_held_out.json."""
    return _of_timm("held-out", "places_held_out.json")


def _of_timm(source: str, listing: str) -> Iterator[tuple[str, Callable[[], nn.Module], int]]:
    import timm

    for module, name in json.loads(OUT.with_name(listing).read_text("utf-8")).items():
        size = timm.get_pretrained_cfg(name)
        side = (size.input_size if size.fixed_input_size else size.min_input_size or size.input_size)[1]
        yield f"{source}/{module}/{name}", lambda name=name: timm.create_model(name, num_classes=5), side


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


def cells_of(grid: tuple[int, int]) -> list[tuple[int, int]]:
    """Cells in the middle of the thirds of each axis; all of an axis of two or one."""
    axes = [sorted({int((2 * i + 1) / 6 * n) if n > 2 else i % n for i in range(3)}) for n in grid]
    return [(y, x) for y in axes[0] for x in axes[1]]


def cells_follow(network: nn.Module, layer: Layer, side: int) -> dict[str, float]:
    """Share of a layer's cells that follow the image, and how many images it took.

    Where places are mixed, the gradient of a single image is noisy. So the first image, or the first two for small
    grids, decide only if all cells follow; else the mean over more images does.

    Returns:
        "follows"; where more images were needed, also "first", the share for the first, and "images".
    """
    generator = torch.Generator().manual_seed(11)
    images = torch.cat([torch.randn(2, 3, side, side, generator=generator) for _ in range(IMAGES // 2)])
    count = 2 if layer.places[0] * layer.places[1] <= 16 else 1
    energy = sum(energy_of_cells(network, layer, image) for image in images[:count].split(1))
    first = round(follows(energy, layer.places), 3)
    if first == 1:
        return {"follows": first}
    energy = energy + sum(energy_of_cells(network, layer, image) for image in images[count:].split(1))
    return {"follows": round(follows(energy, layer.places), 3), "first": first, "images": IMAGES}


def energy_of_cells(network: nn.Module, layer: Layer, image: Tensor) -> np.ndarray:
    """Energy of the gradient of each cell by an image (1, C, H, W): (cells, H, W) float64."""
    energy = _energy(network, layer, image)
    if energy.max((1, 2)).min() < TINY**2:
        energy = _energy(copy.deepcopy(network).double(), layer, image.double())
    return energy


def _energy(network: nn.Module, layer: Layer, image: Tensor) -> np.ndarray:
    cells, found = cells_of(layer.places), []
    for start in range(0, len(cells), CELLS):
        part = cells[start : start + CELLS]
        images = image.repeat(len(part), 1, 1, 1).requires_grad_()
        kept: list[Tensor] = []
        handle = network.get_submodule(layer.name).register_forward_hook(
            lambda *given, kept=kept: kept.append(given[2].clone())
        )
        try:
            network(images)
        finally:
            handle.remove()
        maps = to_maps(kept[-1], layer.layout)  # (N, C, h, w)
        weights = torch.randn(maps.shape[1], generator=torch.Generator().manual_seed(12)).to(maps)
        chosen = [weights @ maps[i, :, y, x] for i, (y, x) in enumerate(part)]
        (gradient,) = torch.autograd.grad(torch.stack(chosen).sum(), images)
        found.append(gradient.detach().double().square().sum(1).numpy())
    return np.concatenate(found)


def follows(energy: np.ndarray, grid: tuple[int, int]) -> float:
    """Share of cells whose gradient has more energy in their own part of the image, beyond the mean over cells.

    Args:
        energy: (cells, H, W).
        grid: (h, w) of the layer.
    """
    cells = cells_of(grid)
    _, height, width = energy.shape
    rows, columns = np.array([(y + 0.5) / grid[0] for y, _ in cells]), np.array([(x + 0.5) / grid[1] for _, x in cells])
    y, x = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
    distance = (y[None, :, None] - rows[:, None, None]) ** 2 + (x[None, None, :] - columns[:, None, None]) ** 2
    part = distance.argmin(0)  # (H, W): the nearest cell of each pixel
    total = np.maximum(energy.sum((1, 2)), 1e-300)
    share = np.stack([(energy * (part == j)).sum((1, 2)) / total for j in range(len(cells))], 1)  # (cells, parts)
    return float(((share - share.mean(0)).argmax(1) == np.arange(len(cells))).mean())


def expected_places(network: nn.Module, images: Tensor) -> tuple[int, ...]:
    """Places that the network's own last features may have; empty where it does not say."""
    if not hasattr(network, "forward_features"):
        return ()
    with torch.no_grad():
        features = network.forward_features(images)
    if isinstance(features, dict):
        features = list(features.values())
    prefix = getattr(network, "num_prefix_tokens", None)
    channels = {getattr(network, name, None) for name in ("num_features", "head_hidden_size")}
    places: list[int] = []
    # Of several features (branches, scales), the head reads all: each may be the last layer.
    for each in features if isinstance(features, tuple | list) else [features]:
        if isinstance(each, Tensor) and each.ndim == 3 and each.shape[1] > 1:
            # (N, tokens, C) or (N, C, places); both where the channels do not say.
            known = [k for k in (1, 2) if each.shape[3 - k] in channels and each.shape[k] not in channels] or [1, 2]
            places += [each.shape[k] - n for k in known for n in ((0, 1) if prefix is None else (prefix,))]
        elif isinstance(each, Tensor) and each.ndim == 4:
            last = each.shape[-1] in channels and each.shape[1] not in channels
            places.append(int(np.prod(each.shape[1:3] if last else each.shape[2:])))
    return tuple(dict.fromkeys(places))


def check(build: Callable[[], nn.Module], side: int, known: dict[str, dict]) -> dict[str, object]:
    """The default layers of a network, and how well each follows the image; or why there is none.

    Args:
        build: makes the network.
        side: of the images, pixels.
        known: layers of the same network that were checked before; what they do does not depend on the trial.
    """
    torch.manual_seed(0)
    network = build().eval().requires_grad_(False)
    began = time.perf_counter()
    try:
        engine = build_engine(network, ["activation"], None, (side, side))
    except InputError as error:
        return {"refused": str(error)[:300]}
    seconds = time.perf_counter() - began
    layers: dict[str, dict] = {}
    for y in engine.layers:
        before = known.get(y.name, {})
        same = before.get("places") == list(y.places) and before.get("layout", str(y.layout)) == str(y.layout)
        if same and (before["follows"] == 1 or "images" in before):
            found = {key: before[key] for key in ("follows", "first", "images") if key in before}
        else:
            found = cells_follow(network, y, side)
        layers[y.name] = {
            "places": list(y.places),
            "layout": str(y.layout),
            "locality": round(y.locality or 0.0, 3),
            **found,
        }
    places = expected_places(network, torch.zeros(1, 3, side, side))
    last = engine.layers[-1]
    right = layers[last.name]["follows"] >= FOLLOWS and (not places or last.places[0] * last.places[1] in places)
    row = {"layers": layers, "last_right": bool(right), "expected_places": list(places), "seconds": round(seconds, 2)}
    if not right and layers[last.name]["follows"] >= FOLLOWS:
        row["features_follow"] = features_follow(network, places, side)
    return row


def features_follow(network: nn.Module, places: tuple[int, ...], side: int) -> float | None:
    """How well the network's own last features follow the image; None where no module has as many places.

    With random weights, global attention may spread every patch over all places alike. Then they have none.
    """
    with steady(network, "float32", gradients=False):
        results = find_trial(network, (3, side, side)).results
    leading = {name: y for name, y in results.items() if y.leads and y.reading}
    fitting = {name: y.reading.layout for name, y in leading.items() if np.prod(y.reading.grid) in places}
    if not fitting:  # a grid that was not found, as the trial saw no places
        grids = {int(n): (isqrt(n), isqrt(n)) for n in places if isqrt(n) ** 2 == n}
        tokens = {name: y for name, y in leading.items() if len(y.shape) == 3 and y.shape[1] in grids}
        fitting = {name: tokens_layout(grids[y.shape[1]], 0) for name, y in tokens.items()}
    if not fitting:
        return None
    name, layout = list(fitting.items())[-1]
    grid = layout.grid or results[name].reading.grid
    layer = Layer(name, network.get_submodule(name), layout, False, grid, None)
    return cells_follow(network, layer, side)["follows"]


@click.command()
@click.argument("only", nargs=-1)
@click.option("--out", type=click.Path(path_type=Path), default=OUT, show_default=True)
@click.option("--again", is_flag=True, help="Try networks that are in the table already; check layers that are not.")
def main(only: tuple[str, ...], out: Path, again: bool) -> None:
    """Check the networks whose names contain one of ONLY (all, where none is given); add them to the table."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    table = json.loads(out.read_text("utf-8")) if out.exists() else {}
    for source in (of_torchvision, of_transformers, smallest_of_timm, held_out_of_timm):
        try:
            for name, build, side in source():
                if (again or name not in table) and (not only or any(part in name for part in only)):
                    table[name] = _row(name, build, side, table.get(name, {}).get("layers", {}))
                    out.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
        except ImportError as error:
            print(f"{source.__name__}: left out, {error}")
    _sum_up(table)


def _row(name: str, build: Callable[[], nn.Module], side: int, known: dict[str, dict]) -> dict[str, object]:
    """The row of one network, from a process of its own."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send_row, args=(sender, build, side, known))
    process.start()
    sender.close()
    row: dict[str, object] = {"failed": f"no result within {PATIENCE} s"}
    try:
        if receiver.poll(PATIENCE):
            row = receiver.recv()
    except EOFError:
        process.join()
        row = {"failed": f"the process ended without a result (exit status {process.exitcode})"}
        if process.exitcode == -signal.SIGXCPU:
            row = {"failed": f"no result within {SECONDS} s of CPU time"}
    process.kill()
    process.join()
    print(name, side, json.dumps(row)[:400], flush=True)
    return row


def _send_row(sender: Connection, build: Callable[[], nn.Module], side: int, known: dict[str, dict]) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 10))
    try:
        sender.send(check(build, side, known))
    except Exception as error:  # noqa: BLE001 - of a network that cannot be built or run here
        sender.send({"failed": f"{type(error).__name__}: {error}"[:200]})


def _sum_up(table: dict[str, dict]) -> None:
    for source in ("torchvision", "transformers", "timm", "held-out"):
        rows = {name: row for name, row in table.items() if name.startswith(source + "/")}
        tried = [row for row in rows.values() if "failed" not in row]
        layers = [y for row in tried for y in row.get("layers", {}).values()]
        wrong = [y for y in layers if y["follows"] < FOLLOWS]
        first = [y for y in layers if y.get("first", y["follows"]) < FOLLOWS]
        right, refused = sum(row.get("last_right", False) for row in tried), sum("refused" in row for row in tried)
        # None: no module has as many places as the last features.
        none = sum((1.0 if (f := row.get("features_follow")) is None else f) < FOLLOWS for row in tried)
        print(
            f"{source}: {len(rows)} networks, {len(rows) - len(tried)} cannot run here; layers offered "
            f"{len(layers)}, wrong {len(wrong)} (by the first image alone {len(first)}); last layer right {right}, "
            f"an earlier one since the last features have no places {none}, refused {refused}, of {len(tried)}"
        )


if __name__ == "__main__":
    main()
