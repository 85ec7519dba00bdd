"""A batch in memory: CAM of the last layer, and a study of four methods at four layers."""

import warnings
from pathlib import Path

import torch
from engine_bars import Bar, in_turn, ratio

from wheretolook.cams.batching import compute_batched
from wheretolook.cams.engine import build_engine
from wheretolook.networks.checkpoint import build_network

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pytorch_grad_cam
    import torchcam.methods
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

SIZE = 112
LOOKNET = {"width": 16, "depth": 4}
STUDY = ("gradcam", "gradcam++", "layercam", "hirescam")
FOUR = {"looknet": ("block1", "block2", "block3", "block4"), "resnet18": ("layer1", "layer2", "layer3", "layer4")}


def random_network(architecture: str, device: str):
    """Random weights, and normalisation that has seen something."""
    torch.manual_seed(0)
    network = build_network(architecture, 2, LOOKNET if architecture == "looknet" else {}).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean, 0, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network.to(device)


def measure_speed(architecture: str, batch: int, rounds: int, device: str, clock: str) -> list[Bar]:
    """CAM and study of one network; bars are looknet's."""
    network = random_network(architecture, device)
    bars = _cam(architecture, network, batch, rounds, device, clock)
    return bars + _study(architecture, network, batch, rounds, device, clock)


def _cam(architecture: str, network, batch: int, rounds: int, device: str, clock: str) -> list[Bar]:
    modules, last = network.layer_modules(), FOUR[architecture][-1]
    images = torch.randn(batch, 3, SIZE, SIZE, device=device)
    chosen = torch.arange(batch, device=device)[:, None] % 2
    targets = [ClassifierOutputTarget(k) for k in chosen[:, 0].tolist()]
    ours = {p: build_engine(network, ["cam"], [last], (SIZE, SIZE), p, fast=True) for p in ("float32", "bfloat16")}
    # What `to_input` gives: the order in which images are stored.
    stored = images.contiguous(memory_format=torch.channels_last)
    head = next(name for name, module in network.named_modules() if module is network.heads[last])
    peer = torchcam.methods.CAM(network, modules[last], head)
    other = pytorch_grad_cam.GradCAM(network, [modules[last]])

    def bare():
        with torch.no_grad():
            return ours["float32"].network(stored)

    def torchcams():
        peer.enable_hooks()
        with torch.inference_mode():
            network(images)
        found = peer(chosen[:, 0].tolist())
        peer.disable_hooks()
        return found

    def engine(precision):
        return lambda: compute_batched(ours[precision], stored, slice(0, batch), lambda logits, rows: chosen[rows])

    works = {
        "bare forward": bare,
        "ours": engine("float32"),
        "ours, bfloat16": engine("bfloat16"),
        "torchcam": torchcams,
        "pytorch-grad-cam": lambda: other(images, targets),
    }
    seconds = in_turn({name: _whole(work, device) for name, work in works.items()}, rounds, clock)
    peer.remove_hooks()
    other.activations_and_grads.release()
    held = architecture == "looknet" and device == "cpu"  # the bars are a CPU's
    amx = held and "amx_bf16" in _flags()
    cam = f"{architecture}: CAM of the last layer"
    return [
        ratio(f"{cam} over the bare forward pass", seconds, "ours", "bare forward", 1.05 if held else None, False),
        ratio(f"{cam}, torchcam over ours", seconds, "torchcam", "ours", 1.3 if held else None),
        ratio(f"{cam}, pytorch-grad-cam over ours", seconds, "pytorch-grad-cam", "ours", 5 if held else None),
        ratio(f"{cam}, torchcam over ours in bfloat16", seconds, "torchcam", "ours, bfloat16", 2.5 if amx else None),
        ratio(
            f"{cam}, pytorch-grad-cam over ours in bfloat16",
            seconds,
            "pytorch-grad-cam",
            "ours, bfloat16",
            12 if amx else None,
        ),
    ]


def _study(architecture: str, network, batch: int, rounds: int, device: str, clock: str) -> list[Bar]:
    modules, layers = network.layer_modules(), FOUR[architecture]
    images = torch.randn(batch, 3, SIZE, SIZE, device=device)
    chosen = torch.arange(batch, device=device)[:, None] % 2
    targets = [ClassifierOutputTarget(k) for k in chosen[:, 0].tolist()]
    engine = build_engine(network, STUDY, layers, (SIZE, SIZE), fast=True)
    stored = images.contiguous(memory_format=torch.channels_last)

    def torchcams():
        for method in (torchcam.methods.GradCAM, torchcam.methods.GradCAMpp, torchcam.methods.LayerCAM):
            with method(network, [modules[layer] for layer in layers]) as extractor:
                extractor(chosen[:, 0].tolist(), network(images))

    def pytorch_grad_cams():
        for method in ("GradCAM", "GradCAMPlusPlus", "LayerCAM", "HiResCAM"):
            for layer in layers:
                with getattr(pytorch_grad_cam, method)(network, [modules[layer]]) as extractor:
                    extractor(images, targets)

    works = {
        "ours": lambda: compute_batched(engine, stored, slice(0, batch), lambda logits, rows: chosen[rows]),
        "torchcam": torchcams,
        "pytorch-grad-cam": pytorch_grad_cams,
    }
    seconds = in_turn({name: _whole(work, device) for name, work in works.items()}, rounds, clock)
    held, study = architecture == "looknet" and device == "cpu", f"{architecture}: 4 methods at 4 layers"
    return [
        ratio(
            f"{study}, pytorch-grad-cam (16 calls) over ours", seconds, "pytorch-grad-cam", "ours", 15 if held else None
        ),
        ratio(f"{study}, torchcam (3 methods) over ours", seconds, "torchcam", "ours", 4 if held else None),
    ]


def _whole(work, device: str):
    """The work, and on a GPU the wait for its end."""
    if device == "cpu":
        return work

    def waited():
        work()
        torch.cuda.synchronize()

    return waited


def _flags() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text() if path.is_file() else ""
