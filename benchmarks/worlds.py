"""Small worlds with a planted truth, by real training: what do score and compare say of them?

    python benchmarks/worlds.py [--world hue] [--seeds 2] [--draw 0] [--folder FOLDER]

Each world is drawn, trained with a few seeds, mapped, scored and compared by the stages of the pipeline. Printed are
the figures that decide (necessity by both infills, look-alikes, exchanged cues, occlusion), every statement beside the
truth, and the number of supported statements that are false of the world. The exit status is 1 if there are any.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import click
import numpy as np
from PIL import Image

from wheretolook.analysis.results.statement import Kind, Statement, Verdict, statement_from_json
from wheretolook.project.params_file import arguments, read_params
from wheretolook.report.statement_words import sentence

ROOT = Path(__file__).parents[1]
SIDE, BLOB = 64, 9
BACKGROUND, FOREGROUND, MARK, EVIDENCE = 0, 85, 170, 255
PINK, LILAC = np.array([205, 130, 150]), np.array([160, 130, 195])
DARK, GREEN = np.array([60, 30, 90]), np.array([40, 200, 90])
Drawn = tuple[np.ndarray, np.ndarray]  # an image (S, S, 3) and its mask (S, S)


@dataclass(frozen=True)
class World:
    """Images of some classes, and what is true of them.

    Attributes:
        truth: in words.
        classes: names.
        draw: an image of a class, by its index.
        false: whether a statement would be false, if it were supported.
    """

    truth: str
    classes: tuple[str, ...]
    draw: Callable[[np.random.Generator, int], Drawn]
    false: Callable[[Statement], bool]


def thing(generator: np.random.Generator, colour: np.ndarray) -> Drawn:
    """A noisy disc of one colour on grey."""
    y, x, radius = *generator.normal(SIDE / 2 - 0.5, 1.5, 2), generator.uniform(22, 26)
    inside = np.hypot(*(np.indices((SIDE, SIDE)) - np.array([y, x])[:, None, None])) < radius
    image = np.where(inside[..., None], colour + generator.normal(0, 8, 3), 128.0)
    image = image + generator.normal(0, 6, image.shape)
    return image, np.where(inside, FOREGROUND, BACKGROUND).astype(np.uint8)


def spot(generator: np.random.Generator, drawn: Drawn, colour: np.ndarray, label: int | None) -> None:
    """A round spot somewhere on the thing; `label` is its mask's, None: it has none."""
    turn, out = generator.uniform(0, 2 * np.pi), generator.uniform(0, 14)
    place = SIDE / 2 + out * np.array([np.sin(turn), np.cos(turn)])
    inside = np.hypot(*(np.indices((SIDE, SIDE)) - place[:, None, None])) < BLOB / 2
    drawn[0][inside] = colour + generator.normal(0, 6, (inside.sum(), 3))
    if label is not None:
        drawn[1][inside] = label


def corner(drawn: Drawn) -> None:
    """A green square in the lower right corner."""
    drawn[0][-10:-3, -10:-3], drawn[1][-10:-3, -10:-3] = GREEN, MARK


def hue(generator: np.random.Generator, label: int) -> Drawn:
    drawn = thing(generator, (LILAC, PINK)[label])
    if label == 0:
        spot(generator, drawn, np.array([120, 80, 120]), EVIDENCE)
    return drawn


def identical(generator: np.random.Generator, label: int) -> Drawn:
    drawn = thing(generator, PINK)
    if label == 2:
        spot(generator, drawn, DARK, EVIDENCE)
    return drawn


def look_alikes(generator: np.random.Generator, label: int) -> Drawn:
    drawn = thing(generator, PINK)
    spot(generator, drawn, DARK, None if label else EVIDENCE)
    if label == 0:
        spot(generator, drawn, GREEN, None)
    return drawn


def unneeded(generator: np.random.Generator, label: int) -> Drawn:
    drawn = thing(generator, PINK)
    if label == 0:
        drawn[0][drawn[1] == BACKGROUND] += (-50, 0, 50)
        spot(generator, drawn, np.array([150, 90, 120]), EVIDENCE)
    return drawn


def excluded(generator: np.random.Generator, label: int) -> Drawn:
    drawn = thing(generator, PINK)
    spot(generator, drawn, (DARK, np.array([220, 220, 90]), DARK)[label], EVIDENCE)
    if label == 2:
        corner(drawn)
    return drawn


CAUSAL = (Kind.PLACE, Kind.DIFFERENCE)


def causal_but(*regions: str) -> Callable[[Statement], bool]:
    """Statements about places other than some: false where only those matter."""
    return lambda said: said.kind is Kind.GLOBAL_CUE or (said.kind in CAUSAL and said.region not in regions)


def of_twins(said: Statement) -> bool:
    """Statements about a class that is one population with another, or about a place that is not the evidence."""
    return said.class_name != "third" or causal_but("evidence")(said)


def of_corner(said: Statement) -> bool:
    """Statements that the corner's mark matters to other classes than the third, or other places than these do."""
    own = ("mark",) if said.class_name == "third" else ("evidence",)
    return causal_but(*own)(said)


TWO, THREE = ("sick", "well"), ("first", "second", "third")
WORLDS = {
    "hue": World(
        "the hue of the thing decides, which is the foreground; the evidence of sick is not needed",
        TWO,
        hue,
        lambda said: (
            said.cue != "hue" if said.kind is Kind.GLOBAL_CUE else said.kind in CAUSAL and said.region != "foreground"
        ),
    ),
    "identical": World("first and second are one population: nothing tells them apart", THREE, identical, of_twins),
    "look-alikes": World(
        "dark spots of both, masked in sick alone, do not matter: a green one does",
        TWO,
        look_alikes,
        causal_but("rest of the foreground"),
    ),
    "unneeded": World(
        "the background tells sick, and its evidence is not needed",
        TWO,
        unneeded,
        lambda said: causal_but("background")(said) and said.cue != "outside object",
    ),
    "corner": World("first and second differ at the evidence; only third has the mark", THREE, excluded, of_corner),
}


def stage(name: str, *words: str | Path) -> None:
    """Run a stage in this process."""
    command: click.Command = getattr(import_module(f"stages.{name}"), name)
    with redirect_stdout(sys.stderr):
        command.main([str(word) for word in words], prog_name=name, standalone_mode=False)


def run_world(world: World, folder: Path, seeds: int, images: int, draw: int) -> tuple[dict[str, dict], dict]:
    """Draw, train, map, score and compare: results by model, and the statements."""
    for number, name in enumerate(world.classes):
        for kind in ("images", "masks"):
            (folder / f"raw/{kind}/{name}").mkdir(parents=True)
        for i in range(images):
            image, mask = world.draw(np.random.default_rng([draw, number, i]), number)
            Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(folder / f"raw/images/{name}/{i:04}.png")
            Image.fromarray(mask).save(folder / f"raw/masks/{name}/{i:04}.png")
    params = read_params((ROOT / "params.yaml").read_text(encoding="utf-8"))
    prepared, models, cams = folder / "prepared", folder / "models", folder / "cams"
    stage(
        "prepare",
        "--raw",
        folder / "raw",
        "--prepared",
        prepared,
        *arguments(params["prepare"] | {"size": SIDE, "test_share": 0.4}),
    )
    names, reports, results = [f"seed-{seed}" for seed in range(seeds)], folder / "reports", {}
    train = params["train"] | {"width": 8, "depth": 3, "epochs": 10}
    for seed, name in enumerate(names):
        own = arguments(train) + arguments({"loss": "last", "seed": seed})
        stage("train", name, "--prepared", prepared, "--models", models, *own)
        common = "--models", models, "--cams", cams, "--prepared", prepared
        stage(
            "export",
            name,
            *common,
            "--exports",
            reports / "exports",
            *arguments(params["export"] | {"methods": ["cam"], "layers": "block3"}),
        )
        cache = "--cache", folder / "cache", "--reports", reports / "models"
        stage(
            "score",
            name,
            *common,
            *cache,
            *arguments(params["score"] | {"sanity_draws": 0, "stability_images": 0, "resamples": 399}),
        )
        results[name] = json.loads((reports / f"models/{name}.json").read_text(encoding="utf-8"))
    (reports / "names.json").write_text(json.dumps({"models": names, "trained": names, "drive": []}), encoding="utf-8")
    paths = {"names": reports / "names.json", "exports": reports / "exports", "prepared": prepared, "cams": cams}
    paths |= {"arrays": folder / "comparison", "reports": reports / "comparison", "scores": reports / "models"}
    words = [word for key, path in paths.items() for word in (f"--{key}", path)]
    stage("compare", *words, *arguments(params["compare"] | {"resamples": 399, "permutations": 999}))
    return results, json.loads((reports / "comparison/statements.json").read_text(encoding="utf-8"))


def lines(result: dict) -> list[str]:
    """The figures of one model that decide."""
    out = [f"accuracy {result['splits']['test']['accuracy']:.3f}"]
    for row in result["necessity"]:
        excess = "no control" if row["excess"] is None else f"flips beyond controls {row['excess_flips']:.2f}"
        about = f"{row['class_name']} {row['region']} by {row['infill']}"
        out.append(f"necessity   {about}: flips {row['flips']:.2f}, {excess}, log-odds {row['log_odds']:.2f}")
    for row in result["look_alikes"]:
        figures = f"own {row['own']:.2f}, best elsewhere {row['best_elsewhere']:.2f}"
        out.append(f"look-alikes {row['class_name']} {row['region']} against {row['other_class']}: {figures}")
    for row in result["global_cues"]:
        if row["exchanged"]:
            figures = f"flips {row['flips']:.2f}, floor {row['floor_flips']:.2f}"
            out.append(f"cue         {row['cue']} of {row['class_name']}: {figures}")
    for row in result["occlusion"]:
        out.append(f"occlusion   {row['class_name']}: r {row['r']:.2f} with {row['maps']}")
    return out


@click.command()
@click.option("--world", "chosen", type=click.Choice(list(WORLDS)), multiple=True, help="Default: all of them.")
@click.option("--seeds", type=click.IntRange(2), default=2, show_default=True)
@click.option("--images", type=click.IntRange(40), default=120, show_default=True, help="Of each class.")
@click.option("--draw", type=click.IntRange(0), default=0, show_default=True, help="Random seed of the images.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where to work; a temporary folder where not given.")
def main(chosen: tuple[str, ...], seeds: int, images: int, draw: int, folder: Path | None) -> None:
    """Print the truth of each world, its statements, and how many are false."""
    false = 0
    with tempfile.TemporaryDirectory() as scratch:
        for name in chosen or WORLDS:
            results, statements = run_world(WORLDS[name], (folder or Path(scratch)) / name, seeds, images, draw)
            click.echo(f"\n{name}: {WORLDS[name].truth}")
            for model, result in results.items():
                click.echo("\n  ".join([f"{model}:", *lines(result)]))
            for found in statements["statements"]:
                said = statement_from_json(found)
                wrong = said.verdict is Verdict.SUPPORTED and WORLDS[name].false(said)
                false += wrong
                click.echo(f"{'FALSE: ' if wrong else ''}{said.verdict} ({said.reason}): {sentence(said)}")
    click.echo(f"\nfalse statements: {false}")
    sys.exit(int(false > 0))


if __name__ == "__main__":
    main()
