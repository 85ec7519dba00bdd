"""Change valid archives, images, model files and state dicts at random, and load them: how many tries, what escaped.

    python benchmarks/fuzz.py [--tries 24000] [--seed 0] [--keep FOLDER]

An escape is an exception that is no refusal, a file outside the folder, or a try of more than five seconds.
"""

import sys
import time
import warnings
from pathlib import Path

import click

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "src")]


@click.command()
@click.option("--tries", type=click.IntRange(1), default=24_000, show_default=True, help="Of all targets together.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--keep", type=click.Path(path_type=Path), help="Folder for the inputs that escaped.")
@click.option("--only", default="", help="One target.")
def fuzz(tries: int, seed: int, keep: Path | None, only: str) -> None:
    """Print one line a target, and end with 1 if anything escaped."""
    from tests.fuzzing.campaign import campaign
    from tests.fuzzing.targets import TARGETS

    # Pillow warns of what it skips; the tests take such a warning for an error.
    warnings.simplefilter("ignore")

    parts = sum(target.share for target in TARGETS.values())
    tried = escaped = 0
    for name, target in TARGETS.items():
        if only in ("", name):
            began = time.monotonic()
            outcome = campaign(name, tries * target.share // parts if not only else tries, seed, keep)
            tried, escaped = tried + len(outcome.tried), escaped + len(outcome.escapes)
            for error in sorted(set(outcome.escapes.values()))[:20]:
                click.echo(f"  {name}: {error[:300]}")
            click.echo(
                f"{name}: {len(outcome.tried):,} different inputs tried, {len(outcome.escapes)} escapes; of all tries "
                f"{outcome.ended['refused']:,} refused, {outcome.ended['loaded']:,} loaded; "
                f"slowest {outcome.slowest:.2f} s, {time.monotonic() - began:.0f} s in all"
            )
    click.echo(f"all: {tried:,} different inputs tried, {escaped} escapes")
    sys.exit(escaped > 0)


if __name__ == "__main__":
    fuzz()
