"""What a folder of maps says about itself: one JSON that pins the model, the data and each array by sha256."""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wheretolook.base.errors import InputError, remedy
from wheretolook.base.files import sha256_of

FORMAT = 1
EVERY_CLASS_UP_TO = 10  # where nobody says otherwise
BEYOND = ("true", "predicted", "mean")  # columns of maps of more classes; the mean is over the maps of all classes
LOGITS = "logits.npy"
RANDOM = "random.npy"  # maps of networks with random weights

# The names of the CAM methods, for code without torch; wheretolook.cams.method_registry has a function for each.
CAM_METHODS = (
    *("cam", "gradcam", "gradcam++", "xgradcam", "hirescam", "layercam"),
    *("eigencam", "scorecam", "ablationcam", "activation"),
)

KEYS = {"format", "model", "data", "class_names", "map_classes", "layers", "heads", "precision", "arrays"}


def map_classes_of(class_names: tuple[str, ...], every_class_up_to: int = EVERY_CLASS_UP_TO) -> tuple[str, ...]:
    """What the K columns of a stored map are: every class, or of more than so many the true and the predicted one.

    Then a third column, the mean over all classes, makes a contrast of the first two: a class's map less the mean of
    the others' is K / (K - 1) times what it is above the mean of all. Methods that are not linear in the class have no
    such map, and two columns.
    """
    return class_names if len(class_names) <= every_class_up_to else BEYOND


def stores_every_class(manifest: dict[str, Any]) -> bool:
    """Whether the columns of its maps are all classes."""
    return manifest["map_classes"] == manifest["class_names"]


def array_name(method: str, layer: str) -> str:
    """File name of one array of maps: `cam.block4.npy`, `gradcam++.features.3.npy`."""
    return f"{method}.{layer}.npy"


def read_manifest(path: Path) -> dict[str, Any]:
    """Read and check a manifest of maps.

    Raises:
        InputError: there is no such file, or it is no JSON, no manifest, or of another format.
    """
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(path, expected="the manifest of maps", found="no such file", hint=remedy(path)) from None
    except ValueError as error:
        raise InputError(
            path, expected="the manifest of maps", found=f"no JSON ({error})", hint=remedy(path)
        ) from error
    if not isinstance(manifest, dict) or set(manifest) != KEYS:
        found = ", ".join(sorted(manifest)) if isinstance(manifest, dict) else type(manifest).__name__
        raise InputError(path, expected=f"the keys {', '.join(sorted(KEYS))}", found=found, hint=remedy(path))
    if manifest["format"] != FORMAT:
        raise InputError(path, expected=f"maps of format {FORMAT}", found=manifest["format"], hint=remedy(path))
    for what, found in _unlike(manifest):
        raise InputError(path, expected=what, found=json.dumps(found)[:40], hint=remedy(path))
    return manifest


def _unlike(manifest: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What is not of its kind: what was expected, and what stands there."""
    for key in ("class_names", "map_classes", "layers", "heads"):
        names = manifest[key]
        if not (isinstance(names, list) and all(isinstance(name, str) for name in names) and (names or key == "heads")):
            yield f"a list of names under {key}", names
    for key, missing in (("model", None), ("data", "")):  # of images that are no prepared data, nothing is pinned
        if not (isinstance(manifest[key], dict) and isinstance(manifest[key].get("sha256", missing), str)):
            yield f"an object with a sha256 under {key}", manifest[key]
    arrays = manifest["arrays"]
    if not (isinstance(arrays, dict) and LOGITS in arrays):
        yield f"arrays by their names, {LOGITS} among them", arrays
        return
    for name, pin in arrays.items():
        if not (isinstance(pin, dict) and isinstance(pin.get("sha256"), str)):
            yield f"a sha256 of {name}", pin
        elif name not in (LOGITS, RANDOM) and not pin.keys() >= {"method", "layer", "knows_class"}:
            yield f"method, layer and knows_class of {name}", pin


def cam_first(methods: Iterable[str]) -> list[str]:
    """CAM, on which statements rest, then the other methods by name."""
    return sorted(methods, key=lambda method: (method != "cam", method))


# That a file is neither in the cache nor in the remote is what the caller says, too.
_NO_MORE = "Checkout failed for following targets"


def bring(paths: Sequence[Path]) -> tuple[list[Path], str]:
    """Let DVC put back those of `paths` that are missing.

    DVC holds no lock while a stage runs, so a stage may ask for this. Outside a DVC repository nothing is tried.

    Returns:
        Those that are missing still, and why, to stand behind "found no file" (`told`); empty where DVC gave no reason.
    """
    said = ""
    for command in ("checkout", "pull"):
        missing = [path for path in paths if not path.is_file()]
        root = repository_of(missing[0]) if missing else None
        if root is None:
            return missing, ""
        targets = [str(path.absolute().relative_to(root)) for path in missing]
        # A target that DVC does not know is no error here: what counts is what stands there afterwards. Not --quiet,
        # which would keep the reason back: a login that failed, a kind of remote that is not installed.
        done = subprocess.run(
            [sys.executable, "-m", "dvc", command, *targets], cwd=root, capture_output=True, check=False
        )
        said = _reason(done.stderr.decode(errors="replace")) if done.returncode else ""
    return [path for path in paths if not path.is_file()], told(said)


def told(reason: str) -> str:
    """DVC's reason as it stands behind "found no file"; nothing for none."""
    return f" (DVC said: {reason})" if reason else ""


def repository_of(path: Path) -> Path | None:
    """The DVC repository that `path` lies in, if any."""
    return next((folder for folder in path.absolute().parents if (folder / ".dvc" / "config").is_file()), None)


def _reason(stderr: str) -> str:
    """The first error, which those behind it follow from; what ended it otherwise, as the last line of a traceback."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return next((line for line in errors if _NO_MORE not in line), "") if errors else "".join(lines[-1:])


@dataclass(frozen=True)
class Maps:
    """The maps of one model, raw and signed, at each layer's own resolution.

    Attributes:
        folder: where the arrays stand.
        manifest: what they are. Columns of maps and logits follow `class_names`, in the order of the prepared data.
    """

    folder: Path
    manifest: dict[str, Any]

    @property
    def names(self) -> list[tuple[str, str]]:
        """Each (method, layer) there is, by method, layers from first to last."""
        layers = self.manifest["layers"]
        arrays = self.manifest["arrays"]
        found = [(a["method"], a["layer"]) for name, a in arrays.items() if name not in (LOGITS, RANDOM)]
        return sorted(found, key=lambda pair: (pair[0], layers.index(pair[1])))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class; the column of `logits`."""
        return tuple(self.manifest["class_names"])

    def open(self, method: str, layer: str) -> np.memmap:
        """Maps of all images, float32 (N, K, h, w), memory-mapped read-only.

        K runs over `manifest["map_classes"]` (where these are not all classes, a method that is not linear in the class
        has no "mean"), or is 1 where `knows_class` is false; `analysis.target.open_target` is the safe way in.

        Raises:
            InputError: there are no such maps; the message lists those that exist.
        """
        if (method, layer) not in self.names:
            there = ", ".join(f"{m}.{y}" for m, y in self.names)
            raise InputError(self.folder, expected=f"maps {method}.{layer}", found=there, hint="name one of those")
        return np.load(self.folder / array_name(method, layer), mmap_mode="r")

    def knows_class(self, method: str, layer: str) -> bool:
        """Whether these maps differ between classes; those that do not (K = 1) stay out of tests about classes."""
        return self.manifest["arrays"][array_name(method, layer)]["knows_class"]

    def random(self) -> tuple[np.ndarray, np.ndarray] | None:
        """CAMs of the last layer of networks with random weights, and the rows of the images that they are of.

        Returns:
            float32 (draws, n, h, w), memory-mapped, true class less the mean of the others, and int64 (n,); None where
            none were exported.
        """
        about = self.manifest["arrays"].get(RANDOM)
        if about is None:
            return None
        return np.load(self.folder / RANDOM, mmap_mode="r"), np.array(about["rows"], dtype=np.int64)

    def head_logits(self) -> np.ndarray:
        """Logits of every trained head, float32 (N, H, classes); heads as in `manifest["heads"]`, first to last."""
        return np.load(self.folder / LOGITS)

    def logits(self) -> np.ndarray:
        """Logits of the model, its last head: float32 (N, classes)."""
        return self.head_logits()[:, -1]


def load_maps(folder: Path, manifest: Path | None = None) -> Maps:
    """Open the maps of one model, bringing arrays that are missing from DVC's cache or remote.

    Args:
        folder: `data/cams/NAME`.
        manifest: a copy of the manifest that git tracks (`reports/exports/NAME.json`); default: the folder's own.

    Raises:
        InputError: arrays that are nowhere, or that are not those which the manifest pins.
    """
    if manifest is None:
        manifest = folder / "manifest.json"
        absent, why = bring([manifest])
        if absent:
            raise InputError(folder, expected="maps", found=f"no manifest.json{why}", hint=remedy(folder))
    maps = Maps(folder, read_manifest(manifest))
    arrays = maps.manifest["arrays"]
    missing, why = bring([folder / name for name in sorted(arrays)])
    if missing:
        raise InputError(
            missing[0], expected="maps", found=f"no file, here or in DVC's cache{why}", hint=remedy(folder)
        )
    for name in sorted(arrays):
        check_array(folder / name, arrays[name])
    return maps


def check_array(path: Path, pinned: dict[str, Any]) -> None:
    """Refuse an array whose bytes are not those that the manifest pins."""
    found = sha256_of(path)
    if found != pinned["sha256"]:
        again = remedy(path.parent)
        raise InputError(
            path, expected=f"sha256 {pinned['sha256'][:12]}", found=f"{found[:12]}: edited or stale", hint=again
        )
