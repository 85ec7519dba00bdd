"""Does a planted shortcut show? A clean and a shortcut network, on the same test images.

    python benchmarks/shortcut.py [--model last-0] [--folder FOLDER]

Trains one model of params.yaml on clean cells and on cells where 90 % of the infected bear a mark in a corner, then
maps and scores both on sets that differ in who bears the mark: nobody, everybody, or the other class alone. Every step
is a stage of the pipeline with the values of params.yaml. Prints a table, and the ratios that the mark should move.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from wheretolook.project.params_file import arguments, read_params

ROOT = Path(__file__).parents[1]
TRAINING = {"clean": {}, "shortcut": {"infected": 0.9}}
TESTS = {"unmarked": {}, "all marked": {"infected": 1.0, "uninfected": 1.0}, "other class marked": {"uninfected": 1.0}}


def stage(name: str, *words: str | Path) -> None:
    """Run a stage's script."""
    command = ["sh", str(ROOT / "stages/launch"), str(ROOT / f"stages/{name}.py"), *map(str, words)]
    subprocess.run(command, check=True, stdout=sys.stderr)


def prepare(folder: Path, shares: dict[str, float], params: dict) -> Path:
    """Render and prepare cells, with the mark in a share of each class."""
    from wheretolook.sources.synthetic import write_cells

    options = {key: params["fetch"][key] for key in ("images_per_class", "size", "seed")}
    write_cells(folder / "raw", **options, mark_shares=shares)
    stage("prepare", "--raw", folder / "raw", "--prepared", folder / "prepared", *arguments(params["prepare"]))
    return folder / "prepared"


def score(name: str, model: Path, prepared: Path, folder: Path, params: dict) -> dict:
    """Map and score a model file on prepared data; the results of the test split."""
    (folder / "models").mkdir(parents=True)
    (folder / f"models/{name}.safetensors").symlink_to(model)
    common = ["--models", folder / "models", "--cams", folder / "cams", "--prepared", prepared]
    stage("export", name, *common, "--exports", folder / "exports", *arguments(params["export"]))
    stage("score", name, *common, "--reports", folder / "reports", *arguments(params["score"]))
    return json.loads((folder / f"reports/{name}.json").read_text(encoding="utf-8"))


def measure(name: str, folder: Path) -> dict[str, dict[str, dict]]:
    """Test results by training set and test set."""
    params = read_params((ROOT / "params.yaml").read_text(encoding="utf-8"))
    own = params["models"][name]
    models = {}
    for training, shares in TRAINING.items():
        place = folder / training
        prepared = prepare(place, shares, params)
        words = ["--prepared", prepared, "--models", place, *arguments(params["train"]), *arguments(own)]
        stage("train", name, *words)
        models[training] = place / f"{name}.safetensors"
    results: dict[str, dict[str, dict]] = {training: {} for training in models}
    for number, (test, shares) in enumerate(TESTS.items()):
        prepared = prepare(folder / f"test{number}", shares, params)
        for training, model in models.items():
            place = folder / f"test{number}-{training}"
            results[training][test] = score(name, model, prepared, place, params)
    return results


def last_layer(result: dict) -> dict:
    """Localisation of the infected test images by the last layer's own CAM."""
    return result["localisation"][f"cam.{result['heads'][-1]}"]["test"]["infected"]


@click.command()
@click.option("--model", default="last-0", show_default=True, help="The model of params.yaml that is trained twice.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where to work; a temporary folder where not given.")
def main(model: str, folder: Path | None) -> None:
    """Print what a planted shortcut does to accuracy and maps."""
    with tempfile.TemporaryDirectory() as scratch:
        results = measure(model, folder or Path(scratch))
    click.echo(f"{model:10} {'test images':20} accuracy  energy in evidence  energy on mark / its area")
    for training, tests in results.items():
        for test, result in tests.items():
            found, accuracy = last_layer(result), result["splits"]["test"]["accuracy"]
            mark = "-" if found["mark_ratio"] is None else f"{found['mark_ratio']:.2f}"
            click.echo(f"{training:10} {test:20} {accuracy:8.3f} {found['energy']:19.3f} {mark:>26}")
    clean, shortcut = (last_layer(results[training]["all marked"]) for training in TRAINING)
    fall = results["shortcut"]["unmarked"]["splits"]["test"]["accuracy"]
    fall -= results["shortcut"]["other class marked"]["splits"]["test"]["accuracy"]
    click.echo(f"energy in the true evidence falls by a factor of {clean['energy'] / shortcut['energy']:.2f} (bar: 2)")
    click.echo(f"energy on the mark over its area: shortcut {shortcut['mark_ratio']:.2f} (bar: >= 3), ", nl=False)
    click.echo(f"clean {clean['mark_ratio']:.2f} (bar: <= 1)")
    click.echo(f"accuracy falls by {fall:.3f} when the other class bears the mark (bar: 0.2)")


if __name__ == "__main__":
    main()
