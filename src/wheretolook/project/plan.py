"""What `dvc repro` would do, also on a clone without data, where `dvc repro --dry` stops at the first stage.

`--dry` looks at the folder as it is now. `dvc repro` works stage by stage, and each one changes what the next finds: a
missing output is restored from DVC's cache, or its stage runs. This module simulates that. What `check` will write
follows from params.yaml, so that only stages follow it whose names, values or network code differ.
"""

import hashlib
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from contextlib import chdir
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from wheretolook.base.errors import InputError, redacted_values
from wheretolook.base.files import write_json
from wheretolook.base.resources import naming
from wheretolook.networks.architectures import code_of
from wheretolook.project.dvc_state import check_no_links, overlap, unreadable
from wheretolook.project.leftovers import blamed, find_strays, is_copy_edited
from wheretolook.project.params_file import load_params

if TYPE_CHECKING:
    from dvc.dependency import Dependency
    from dvc.output import Output
    from dvc.stage import Stage

Fate = Literal["changed", "lost", "follower", "restored", "edited", "kept"]
MAKES = ("changed", "lost", "follower")  # after these, the outputs are unknown until they ran


@dataclass(frozen=True)
class Plan:
    """Stages in the order of `dvc repro`, without those that it neither runs nor restores.

    Attributes:
        changed: they run, since parameters, code or inputs changed, they never ran, or results that git tracks are
            missing or edited.
        lost: they run unless pulled, since an output is missing from DVC's cache.
        followers: they run unless what they read comes out the same.
        restored: their outputs are restored from DVC's cache.
        edited: they neither run nor are restored, since the cache's copy was edited together with the output.
        has_remote: whether a DVC remote is configured.
        strays: files of models that params.yaml does not name, without which an input or output of one of `changed`
            would be unchanged.
    """

    changed: tuple[str, ...]
    lost: tuple[str, ...]
    followers: tuple[str, ...]
    restored: tuple[str, ...]
    edited: tuple[str, ...]
    has_remote: bool
    strays: tuple[str, ...]


def plan_run(root: Path, allow_missing: bool = False) -> Plan:
    """What `dvc repro` would do with each stage.

    Args:
        root: the folder of dvc.yaml.
        allow_missing: take missing outputs as recorded in dvc.lock, as `dvc repro --pull --allow-missing` does: none
            is lost, and none restored.

    Raises:
        InputError: no DVC project, files that DVC cannot read, or folders that are links.
    """
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo
    from dvc.repo.reproduce import plan_repro

    check_no_links(root)
    fates: dict[Stage, Fate] = {}
    foreseen: dict[str, str] = {}
    strays = find_strays(root)
    try:
        with warnings.catch_warnings(), naming(root / ".dvc" / "tmp"), Repo(str(root)) as repo, repo.lock:
            warnings.simplefilter("ignore", DeprecationWarning)  # DVC's own use of pygtrie
            graph = repo.index.graph
            for stage in plan_repro(graph):
                above = {maker: fates[maker] for maker in graph.successors(stage)}
                fates[stage] = _fate(stage, above, foreseen, allow_missing)
                if stage.name == "check" and fates[stage] in MAKES:
                    foreseen = {str(Path(repo.root_dir, path)): md5 for path, md5 in check_outputs(root).items()}
            has_remote = bool(repo.config["core"].get("remote"))
            entries = [entry for stage, fate in fates.items() if fate == "changed" for entry in stage.deps + stage.outs]
            reasons = {stray for entry in entries for stray in blamed(entry, root, strays)}
    except LockError as error:
        raise InputError(root, "no other running DVC command", error, "wait until it ends") from error
    except DvcException as error:
        raise unreadable(root, error) from error

    def those(*wanted: Fate) -> tuple[str, ...]:
        return tuple(stage.name for stage, fate in fates.items() if fate in wanted)

    return Plan(
        those("changed"),
        those("lost"),
        those("follower"),
        those("restored"),
        those("edited"),
        has_remote,
        tuple(sorted(reasons)),
    )


def check_outputs(root: Path) -> dict[str, str]:
    """MD5 of each file that the stage `check` writes for params.yaml as it is now; empty where it is invalid."""
    with tempfile.TemporaryDirectory(prefix="wheretolook-") as folder, chdir(root):
        try:
            given = load_params(Path("params.yaml"))
            trained, drive = list(given["models"]), list(given["drive"])
            used = {name: {**given["train"], **given["models"][name]}.get("architecture") for name in trained}
            used |= {name: given["drive"][name].get("architecture") for name in drive}
            files: dict[str, Any] = {
                f"reports/code/{name}.json": (code_of(architecture) if architecture else None) or {}
                for name, architecture in used.items()
            }
        except (AttributeError, InputError, KeyError, TypeError):
            return {}
        files["reports/names.json"] = {"models": [*trained, *drive], "trained": trained, "drive": drive}
        files["reports/parameters.json"] = redacted_values(given)
        files["reports/tests/names.json"] = list(given.get("test_sets") or {})
        found = {}
        for path, value in files.items():
            write_json(Path(folder, "file.json"), value)
            found[path] = hashlib.md5(Path(folder, "file.json").read_bytes()).hexdigest()
    return found


def _fate(stage: "Stage", above: Mapping["Stage", Fate], foreseen: Mapping[str, str], allow_missing: bool) -> Fate:
    """What happens to a stage, given what happens to the stages whose outputs it reads.

    Args:
        stage: any stage.
        above: stages whose outputs it reads.
        foreseen: MD5 of outputs of stages that run, by path, where they are known before.
        allow_missing: see `plan_run`.
    """
    if stage.changed_stage() or any(_differs(dep, above, foreseen, allow_missing) for dep in stage.deps):
        return "changed"
    found = {out: status for out in stage.outs for status in out.status().values()}
    missing = {out for out, status in found.items() if status in ("deleted", "not in cache")}
    if allow_missing:
        found = {out: status for out, status in found.items() if out not in missing}
    if found and not _comes_back(stage):
        return "lost" if all(out in missing and out.use_cache for out in found) else "changed"
    unknown = [dep for dep in stage.deps if dep.fs_path not in foreseen]
    made = [out for maker, fate in above.items() if fate in MAKES for out in maker.outs]
    if any(overlap(dep.fs_path, out.fs_path) for dep in unknown for out in made):
        return "follower"
    if any(is_copy_edited(out) for out in found):
        return "edited"
    return "restored" if found else "kept"


def _differs(
    dep: "Dependency", above: Mapping["Stage", Fate], foreseen: Mapping[str, str], allow_missing: bool
) -> bool:
    """Whether an input certainly differs from the stage's last run. One that will be rewritten is unknown: False."""
    if dep.fs_path in foreseen:
        return dep.hash_info is None or dep.hash_info.value != foreseen[dep.fs_path]
    makers = [(maker, out) for maker in above for out in maker.outs if overlap(dep.fs_path, out.fs_path)]
    if same := [out for _, out in makers if out.fs_path == dep.fs_path]:
        return dep.hash_info != same[0].hash_info
    if any(above[maker] in MAKES for maker, _ in makers):
        return False
    status = list(dep.status().values())
    return bool(status) and not (allow_missing and status == ["deleted"])


def _comes_back(stage: "Stage") -> bool:
    """Whether DVC restores the outputs from its cache instead of running the stage.

    It first removes all of them, even those that git tracks, so the cache must have every one.
    """
    return bool(stage.cmd and stage.deps) and all(map(_in_cache, stage.outs))


def _in_cache(out: "Output") -> bool:
    cached = copy(out)
    cached.use_cache = True
    return not cached.changed_cache()


def is_empty(plan: Plan) -> bool:
    """Whether no stage would run."""
    return not (plan.changed or plan.lost or plan.followers)


def sentences(plan: Plan) -> Sequence[str]:
    """The plan in words, a line for each kind."""
    pull = "; `dvc repro --pull` tries the remote first" if plan.has_remote else ""
    kinds = {
        "runs": plan.changed,
        f"runs, since DVC's cache lacks its output{pull}": plan.lost,
        "may run, if its inputs change": plan.followers,
        "does not run; its outputs are restored from DVC's cache": plan.restored,
        "does not run; its outputs stay edited, as is DVC's copy (`wheretolook verify` helps)": plan.edited,
    }
    lines = [f"{what}: {', '.join(stages)}" for what, stages in kinds.items() if stages]
    if plan.strays:
        reason = "because of files of models that params.yaml does not name (`wheretolook tidy` lists them)"
        lines.insert(1, f"{reason}: {', '.join(plan.strays)}")
    return [*lines, *(["plan: nothing would run"] if is_empty(plan) else [])]
