"""Which networks of torchvision and timm can be wrapped, saved and loaded? Writes docs/networks.md.

Each network is wrapped with random weights, as `train` does: layers found, logits equal to the bare network's bit for
bit, gradients that reach each layer, finite maps, a head that is linear on pooled maps, and the same logits from its
model file. One process for each network, with limits on time and memory. The table of networks.json is resumed: a
network that is in it is not run again.
"""

import json
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

HERE = Path(__file__)
OUT, DOCS = HERE.with_suffix(".json"), HERE.parents[1] / "docs" / "networks.md"
TIMM = json.loads(HERE.with_name("places_timm.json").read_text("utf-8"))
# Seconds of processor time, so that a busy machine is not blamed.
MEMORY, SECONDS = 6 * 2**30, 240
CLASSES = 5


def networks() -> Iterator[tuple[str, str, int, str]]:
    """Module, architecture, image size and arguments; the smallest classifier of each module of timm, from its end."""
    from torchvision import models

    plain = [name for name in models.list_models(module=models) if "quantized" not in name]
    smallest = {}
    for name in sorted(plain, key=lambda name: models.get_model_weights(name)["DEFAULT"].meta["num_params"]):
        smallest.setdefault(models.get_model_builder(name).__module__.rpartition(".")[2], name)
    for module, name in sorted(smallest.items()):
        yield f"torchvision.{module}", f"torchvision/{name}", 299 if name == "inception_v3" else 224, ""
    try:
        import timm
    except ImportError:
        return
    for module, name in reversed(TIMM.items()):
        config = timm.get_pretrained_cfg(name)
        side = config.input_size if config.fixed_input_size else config.min_input_size or config.input_size
        yield f"timm.{module}", f"timm/{name}", side[1], ""


def check(architecture: str, side: int, arguments: str) -> dict[str, object]:
    """What holds of one network; "refused" with the reason where it cannot be wrapped."""
    import torch

    from wheretolook.base.errors import InputError
    from wheretolook.networks.architectures import parse_arguments
    from wheretolook.networks.checkpoint import build_network, is_wrapped
    from wheretolook.networks.layers.layer import wrapped_arguments

    torch.set_num_threads(1)
    torch.manual_seed(0)
    keywords = parse_arguments(arguments)
    if is_wrapped(architecture):
        try:
            found = wrapped_arguments(architecture, CLASSES, keywords, (), side)
        except InputError as error:
            return {"refused": str(error)[:300]}
    else:
        found = {"image_size": side} if "/vit_" in architecture else {}
    torch.manual_seed(1)
    network = build_network(architecture, CLASSES, found).eval()
    body, head = network.body, network.final_head()
    for module in body.modules():
        # torchvision's vit starts with a head of zeros, through which no gradient passes.
        if isinstance(module, torch.nn.Linear) and not module.weight.any():
            torch.nn.init.normal_(module.weight, std=0.02)
    images = torch.randn(2, 3, side, side)
    # Gradients are on in every pass that is compared: without them, PyTorch's attention uses another kernel.
    bare = body(images)
    maps, logits = network.trace(images)
    gradients = torch.autograd.grad(logits[:, 0].sum(), list(maps.values()), allow_unused=True)
    reached = [g is not None and bool(g.any()) for g in gradients]
    row: dict[str, object] = {
        "layers": list(network.layer_names),
        "logits_equal": bool(torch.equal(getattr(bare, "logits", bare), logits)),
        "gradients": all(reached),
        "finite": all(bool(torch.isfinite(each).all()) for each in maps.values()),
    }
    logits = logits.detach()
    del bare, maps, gradients  # a graph of several GB in large networks
    return row | {
        "head": next((name for name, module in body.named_modules() if module is head), ""),
        "file": from_file(network, architecture, found, images, logits),
    }


def from_file(network: object, architecture: str, arguments: dict, images: object, logits: object) -> bool:
    """Whether the network has the same logits after it was written to a model file and loaded."""
    import torch

    from wheretolook.networks.card import Card
    from wheretolook.networks.checkpoint import load_model, save_model

    layers = network.layer_names
    card = Card(
        architecture, arguments, tuple("abcde"), images.shape[2], (0.0,) * 3, (1.0,) * 3, "last", layers, layers[-1:],
        {}, {}, [],
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        save_model(path, network, card)
        return bool(torch.equal(load_model(path)[0](images), logits))


def run_alone(architecture: str, side: int, arguments: str) -> dict[str, object]:
    """`check` in a process of its own."""
    command = [sys.executable, str(HERE), "--one", json.dumps([architecture, side, arguments])]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20 * SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return {"failed": f"longer than {20 * SECONDS} seconds"}
    if done.returncode == -signal.SIGXCPU:
        return {"failed": f"more than {SECONDS} seconds of processor time"}
    try:
        return json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return {"failed": (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1][:200]}


def is_right(row: dict) -> bool:
    """Whether everything holds of a network that was wrapped."""
    return bool(row.get("layers")) and all(row[key] for key in ("logits_equal", "gradients", "finite", "file"))


def to_markdown(table: dict[str, dict]) -> str:
    """The table as docs/networks.md."""
    libraries = sorted({module.partition(".")[0] for module in table})
    lines = [
        "# Networks that were tried",
        "",
        "`make networks` writes this page (`benchmarks/networks.py`): the smallest image classifier of each module run",
        "so far, with random weights. *Right*: layers are found, the logits of the wrapped network equal the bare ones",
        "bit for bit, gradients reach each layer, maps are finite, the model file gives the same logits. *Head*: the",
        "linear layer on the pooled feature maps of the last layer, for which `cam` is available.",
        "",
    ]
    for library in libraries:
        rows = [row for module, row in table.items() if module.startswith(f"{library}.")]
        right = sum(map(is_right, rows))
        of = f"{len(rows)} of {len(TIMM)}" if library == "timm" else str(len(rows))
        lines.append(f"- {library}: {of} modules run, {right} right.")
    lines += ["", "| module | network | layers | right | head |", "|---|---|---|---|---|"]
    for module, row in sorted(table.items()):
        missing = [key for key in ("logits_equal", "gradients", "finite", "file") if not row.get(key, True)]
        reason = str(row.get("refused") or row.get("failed") or ", ".join(missing)).replace("|", "/")
        layers = ", ".join(f"`{layer}`" for layer in row.get("layers", ())) or "-"
        verdict = "yes" if is_right(row) else f"no: {reason}"
        head = f"`{row['head']}`" if row.get("head") else "-"
        lines.append(f"| {module} | `{row['architecture']}` at {row['side']} | {layers} | {verdict} | {head} |")
    return "\n".join(lines) + "\n"


@click.command()
@click.argument("only", nargs=-1)
@click.option("--again", is_flag=True, help="Run networks that are in the table again.")
@click.option("--one", default="", help="Run one network here, and print its row.", hidden=True)
def main(only: tuple[str, ...], again: bool, one: str) -> None:
    """Try the networks whose module contains one of ONLY (all, where none is given)."""
    if one:
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 10))
        print(json.dumps(check(*json.loads(one))))
        return
    table = json.loads(OUT.read_text("utf-8")) if OUT.exists() else {}
    for module, architecture, side, arguments in networks():
        if (only and not any(part in module for part in only)) or (module in table and not again):
            continue
        row = {"architecture": architecture, "side": side} | run_alone(architecture, side, arguments)
        table[module] = row
        OUT.write_text(json.dumps(dict(sorted(table.items())), indent=1) + "\n", encoding="utf-8")
        reason = row.get("refused") or row.get("failed") or ""
        print(f"{module:32} {architecture:44} {'right' if is_right(row) else 'NOT RIGHT'} {reason}", flush=True)
    DOCS.write_text(to_markdown(table), encoding="utf-8")


if __name__ == "__main__":
    main()
