"""Kill the pipeline at random moments, start two at once, and count what was lost: the long form of tests/chaos.

    python benchmarks/chaos.py [--kills 100] [--crowds 20] [--seed 0] [--folder FOLDER]

Prints a line for each round and a table, and writes benchmarks/chaos.json.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import click

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]


@click.command()
@click.option("--kills", type=click.IntRange(0), default=100, show_default=True)
@click.option("--crowds", type=click.IntRange(0), default=20, show_default=True, help="Two `dvc repro` at once.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--folder", type=click.Path(path_type=Path), help="For the projects; else a temporary one.")
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "benchmarks/chaos.json", show_default=True)
def chaos(kills: int, crowds: int, seed: int, folder: Path | None, out: Path) -> None:
    """Print the figures, and end with 1 if anything was lost."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        found = measure(Path(scratch), kills, crowds, seed)
    lines = [f"{part}.{name}: {value}" for part, figures in found.items() for name, value in figures.items()]
    click.echo("\n".join(lines))
    out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    sys.exit(any(found[part][name] for part in ("kills", "crowds") for name in LOSSES))


LOSSES = ("outputs_that_differ", "files_half_written", "manual_repairs", "orphans", "hangs")


def measure(folder: Path, kills: int, crowds: int, seed: int) -> dict[str, dict]:
    """All figures."""
    from tests.chaos.campaign import crowd_at_random, kill_at_random, losses, summary
    from tests.chaos.undisturbed import run_undisturbed

    began = time.monotonic()
    undisturbed = run_undisturbed(folder / "undisturbed", ("last-0", "every-0"))
    click.echo(f"undisturbed: {', '.join(f'{stage} {s:.1f} s' for stage, s in undisturbed.seconds.items())}")
    killed = kill_at_random(folder / "killed", undisturbed, kills, seed, click.echo)
    crowded = crowd_at_random(folder / "crowded", undisturbed, crowds, seed, click.echo)
    refused = sum(any(ended) for _, ended in crowded)
    return {
        "run": {"seed": seed, "outputs": len(undisturbed.files), "seconds": round(time.monotonic() - began)},
        "kills": summary(killed),
        "crowds": {"times": len(crowded), "one_was_refused": refused, **losses([each for each, _ in crowded])},
    }


if __name__ == "__main__":
    chaos()
