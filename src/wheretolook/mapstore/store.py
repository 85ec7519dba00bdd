"""Stored maps of a model: one .npy file per method and layer, and a manifest.

`manifest.json` names the model and the data, and holds the SHA-256 of each array. The module needs no PyTorch.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wheretolook.base.errors import InputError, repro_command
from wheretolook.base.files import sha256_of

FORMAT = 1
EVERY_CLASS_UP_TO = 10  # default of export.every_class_up_to
BEYOND = ("true", "predicted", "mean")  # columns beyond that number of classes; "mean" averages the maps of all classes
LOGITS = "logits.npy"
RANDOM = "random.npy"  # maps of networks with random weights
# Of a network that learned labels of their own: a map of each label, by one method at the last layer; and its logits.
LABEL_MAPS, LABEL_LOGITS = "labels.npy", "label_logits.npy"
SPECIAL = (LOGITS, RANDOM, LABEL_MAPS, LABEL_LOGITS)

# The names of the CAM methods, for code without torch; wheretolook.cams.methods has a function for each.
CAM_METHODS = (
    *("cam", "gradcam", "gradcam++", "xgradcam", "hirescam", "layercam"),
    *("eigencam", "scorecam", "ablationcam", "activation", "legrad", "rollout"),
)

KEYS = {"format", "model", "data", "class_names", "map_classes", "layers", "heads", "precision", "arrays"}

# DVC's general message, without a reason; callers already say that the file is missing.
_CHECKOUT_FAILED = "Checkout failed for following targets"


@dataclass(frozen=True)
class Maps:
    """The maps of one model, raw and signed, at each layer's own resolution.

    Attributes:
        folder: contains the arrays.
        manifest: content of manifest.json. Columns of maps and logits follow `class_names`, in the order of the
            prepared data.
    """

    folder: Path
    manifest: dict[str, Any]

    @property
    def names(self) -> list[tuple[str, str]]:
        """Every stored (method, layer), sorted by method, then layers from first to last."""
        layers = self.manifest["layers"]
        arrays = self.manifest["arrays"]
        found = [(a["method"], a["layer"]) for name, a in arrays.items() if name not in SPECIAL]
        return sorted(found, key=lambda pair: (pair[0], layers.index(pair[1])))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class; the column of `logits`."""
        return tuple(self.manifest["class_names"])

    def open(self, method: str, layer: str) -> np.memmap:
        """Maps of all images, float32 (N, K, h, w), memory-mapped read-only.

        K runs over `manifest["map_classes"]` (where these are not all classes, a method that is not linear in the class
        has no "mean"), or is 1 where `knows_class` is false. `analysis.explained.open_target` picks the right column.

        Raises:
            InputError: these maps are not stored; the message lists those that are.
        """
        if (method, layer) not in self.names:
            stored = ", ".join(f"{name}.{of}" for name, of in self.names)
            raise InputError(self.folder, expected=f"maps {method}.{layer}", found=stored, hint="choose one of these")
        return np.load(self.folder / array_name(method, layer), mmap_mode="r")

    def knows_class(self, method: str, layer: str) -> bool:
        """Whether these maps differ between classes; if not, K is 1, and tests about classes leave them out."""
        return bool(self.manifest["arrays"][array_name(method, layer)]["knows_class"])

    def random(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Maps of the last layer of networks with random weights (cam, or gradcam without it), and their images' rows.

        Returns:
            float32 (draws, n, h, w), memory-mapped, true class minus the mean of the others, and int64 (n,); None if
            none were exported.
        """
        entry = self.manifest["arrays"].get(RANDOM)
        if entry is None:
            return None
        return np.load(self.folder / RANDOM, mmap_mode="r"), np.array(entry["rows"], dtype=np.int64)

    def labels(self) -> tuple[tuple[str, ...], np.ndarray, np.ndarray] | None:
        """What a network that learned labels of their own says about each; None for another network.

        Returns:
            Names of the labels; logits, float32 (N, L); and raw maps of the last layer, each label's own, float32
            (N, L, h, w), memory-mapped (the manifest names their method).
        """
        entry = self.manifest["arrays"].get(LABEL_MAPS)
        if entry is None:
            return None
        logits, maps = np.load(self.folder / LABEL_LOGITS), np.load(self.folder / LABEL_MAPS, mmap_mode="r")
        return tuple(entry["labels"]), logits, maps

    def head_logits(self) -> np.ndarray:
        """Logits of every trained head, float32 (N, H, classes); heads as in `manifest["heads"]`, first to last."""
        return np.load(self.folder / LOGITS)

    def logits(self) -> np.ndarray:
        """Logits of the model, its last head: float32 (N, classes)."""
        return self.head_logits()[:, -1]


def load_maps(folder: str | Path, manifest: str | Path | None = None) -> Maps:
    """Open the stored maps of one model. Missing arrays are fetched from DVC's cache or remote.

    Args:
        folder: `data/cams/NAME`, or a folder that `wheretolook look --arrays` wrote.
        manifest: the copy of the manifest that git tracks (`reports/exports/NAME.json`); None: the folder's own.

    Raises:
        InputError: an array is missing and cannot be fetched, or its SHA-256 is not the one in the manifest.
    """
    folder = Path(folder)
    if manifest is None:
        manifest = folder / "manifest.json"
        missing, why = fetch_missing([manifest])
        if missing:
            raise InputError(folder, expected="maps", found=f"no manifest.json{why}", hint=repro_command(folder))
    maps = Maps(folder, read_manifest(Path(manifest)))
    arrays = maps.manifest["arrays"]
    missing, why = fetch_missing([folder / name for name in sorted(arrays)])
    if missing:
        raise InputError(
            missing[0], expected="maps", found=f"no file, here or in DVC's cache{why}", hint=repro_command(folder)
        )
    for name in sorted(arrays):
        check_sha256(folder / name, arrays[name]["sha256"])
    return maps


def check_sha256(path: Path, expected: str) -> None:
    """Check that a stored array has the SHA-256 that its manifest states.

    Raises:
        InputError: it has another: the file was edited, or the manifest is of another run.
    """
    found = sha256_of(path)
    if found != expected:
        raise InputError(
            path, f"sha256 {expected[:12]}", f"{found[:12]}: edited or out of date", hint=repro_command(path.parent)
        )


def read_manifest(path: Path) -> dict[str, Any]:
    """Read and check a manifest of maps.

    Raises:
        InputError: the file is missing, is not JSON, is not a manifest, or has another format number.
    """
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(path, expected="a manifest of maps", found="no such file", hint=repro_command(path)) from None
    except ValueError as error:
        raise InputError(
            path, expected="a manifest of maps (JSON)", found=f"invalid JSON ({error})", hint=repro_command(path)
        ) from error
    if not isinstance(manifest, dict) or set(manifest) != KEYS:
        found = ", ".join(sorted(manifest)) if isinstance(manifest, dict) else type(manifest).__name__
        raise InputError(path, expected=f"the keys {', '.join(sorted(KEYS))}", found=found, hint=repro_command(path))
    if manifest["format"] != FORMAT:
        raise InputError(path, expected=f"maps of format {FORMAT}", found=manifest["format"], hint=repro_command(path))
    for expected, found in _wrong_entries(manifest):
        raise InputError(path, expected=expected, found=json.dumps(found)[:40], hint=repro_command(path))
    return manifest


def _wrong_entries(manifest: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Entries of the wrong type: what was expected, and the value that was found."""
    for key in ("class_names", "map_classes", "layers", "heads"):
        names = manifest[key]
        if not (isinstance(names, list) and all(isinstance(name, str) for name in names) and (names or key == "heads")):
            yield f"a list of names under {key}", names
    for key, missing in (("model", None), ("data", "")):  # `wheretolook look` writes no sha256 of the data
        if not (isinstance(manifest[key], dict) and isinstance(manifest[key].get("sha256", missing), str)):
            yield f"an object with a sha256 under {key}", manifest[key]
    arrays = manifest["arrays"]
    if not (isinstance(arrays, dict) and LOGITS in arrays):
        yield f"an object of arrays that includes {LOGITS}", arrays
        return
    for name, pin in arrays.items():
        if not (isinstance(pin, dict) and isinstance(pin.get("sha256"), str)):
            yield f"a sha256 for {name}", pin
        elif name not in SPECIAL and not pin.keys() >= {"method", "layer", "knows_class"}:
            yield f"method, layer and knows_class for {name}", pin


def array_name(method: str, layer: str) -> str:
    """File name of one array of maps: `cam.block4.npy`, `gradcam++.features.3.npy`."""
    return f"{method}.{layer}.npy"


def map_classes_of(class_names: tuple[str, ...], every_class_up_to: int = EVERY_CLASS_UP_TO) -> tuple[str, ...]:
    """Meaning of the K columns of a stored map: every class, or beyond `every_class_up_to` classes `BEYOND`.

    The mean over all K classes gives the contrast of a class: its map minus the mean of the other classes' maps is
    K / (K - 1) times (its map minus the mean of all). Methods that are not linear in the class store no mean.
    """
    return class_names if len(class_names) <= every_class_up_to else BEYOND


def stores_every_class(manifest: dict[str, Any]) -> bool:
    """Whether the manifest's maps have one column per class."""
    return manifest["map_classes"] == manifest["class_names"]


def cam_first(methods: Iterable[str]) -> list[str]:
    """Sort method names: CAM first (statements use its maps), the others alphabetically."""
    return sorted(methods, key=lambda method: (method != "cam", method))


def fetch_missing(paths: Sequence[Path]) -> tuple[list[Path], str]:
    """Let DVC restore those of `paths` that are missing, from its cache or else its remote.

    DVC does not hold its lock while a stage runs, so a stage may call this. Outside a DVC repository, nothing is tried.

    Returns:
        The paths that are still missing, and DVC's error in parentheses, ready to append to "found no file"; empty
        where DVC reported none.
    """
    reason = ""
    for command in ("checkout", "pull"):
        missing = [path for path in paths if not path.is_file()]
        root = repository_of(missing[0]) if missing else None
        if root is None:
            return missing, ""
        targets = [str(path.absolute().relative_to(root)) for path in missing]
        # The exit status does not matter: DVC fails for a target that it does not know, too. Only the files count.
        # Not --quiet, which would hide the reason: a failed login, a remote type whose package is not installed.
        done = subprocess.run(
            [sys.executable, "-m", "dvc", command, *targets], cwd=root, capture_output=True, check=False
        )
        reason = _first_error(done.stderr.decode(errors="replace")) if done.returncode else ""
    return [path for path in paths if not path.is_file()], quote_dvc(reason)


def quote_dvc(reason: str) -> str:
    """DVC's error in parentheses, to append to "found no file"; empty for no error."""
    return f" (DVC: {reason})" if reason else ""


def repository_of(path: Path) -> Path | None:
    """The root of the DVC repository that contains `path`, if any."""
    return next((folder for folder in path.absolute().parents if (folder / ".dvc" / "config").is_file()), None)


def _first_error(stderr: str) -> str:
    """DVC's first "ERROR:" line, which causes those after it; without any, the last line of a traceback."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return next((line for line in errors if _CHECKOUT_FAILED not in line), "") if errors else "".join(lines[-1:])
