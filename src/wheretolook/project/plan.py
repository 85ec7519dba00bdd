"""What `dvc repro` would do, also on a clone without data, where `dvc repro --dry` stops at the first stage.

`--dry` goes by what stands in the folder now. `dvc repro` goes stage by stage, and each one changes what the next one
finds: an output that is gone comes back from DVC's cache, or its stage runs. Here that is played through.
"""

import warnings
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from wheretolook.base.errors import InputError
from wheretolook.base.resources import naming
from wheretolook.project.leftovers import blamed, find_strays, is_copy_edited
from wheretolook.project.lock_file import check_no_links, overlap, unreadable

if TYPE_CHECKING:
    from dvc.dependency import Dependency
    from dvc.output import Output
    from dvc.stage import Stage

Fate = Literal["changed", "lost", "follower", "restored", "edited", "kept"]
MAKES = ("changed", "lost", "follower")  # after these, nobody knows the bytes


@dataclass(frozen=True)
class Plan:
    """Stages in the order in which `dvc repro` comes to them; those that nothing happens to are left out.

    Attributes:
        changed: those whose parameters, code or inputs changed, that never ran, or whose results that git keeps are
            gone or edited: they run.
        lost: those of which DVC's cache lacks an output: they run, unless it can be pulled.
        followers: those that read what the ones above write: they run, unless it comes out the same.
        restored: those whose outputs come back from DVC's cache.
        edited: those that don't run, nor get back what they made: the cache's copy was edited with it.
        has_remote: whether there is a place to pull from.
        strays: files of no model in params.yaml, but for which an input or output of one of `changed` would be as it
            was.
    """

    changed: tuple[str, ...]
    lost: tuple[str, ...]
    followers: tuple[str, ...]
    restored: tuple[str, ...]
    edited: tuple[str, ...]
    has_remote: bool
    strays: tuple[str, ...]


def plan_run(root: Path, allow_missing: bool = False) -> Plan:
    """Ask DVC what of each stage changed, and conclude what becomes of it.

    Args:
        root: the folder of dvc.yaml.
        allow_missing: outputs that are not here count as they stand in dvc.lock, as for `dvc repro --pull
            --allow-missing`: none is lost, and none restored.

    Raises:
        InputError: no DVC project, files that DVC cannot read, or folders that are links.
    """
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo
    from dvc.repo.reproduce import plan_repro

    check_no_links(root)
    fates: dict[Stage, Fate] = {}
    strays = find_strays(root)
    try:
        with warnings.catch_warnings(), naming(root / ".dvc" / "tmp"), Repo(str(root)) as repo, repo.lock:
            warnings.simplefilter("ignore", DeprecationWarning)  # DVC's own use of pygtrie
            graph = repo.index.graph
            for stage in plan_repro(graph):
                above = {maker: fates[maker] for maker in graph.successors(stage)}
                fates[stage] = _fate(stage, above, allow_missing)
            has_remote = bool(repo.config["core"].get("remote"))
            entries = [entry for stage, fate in fates.items() if fate == "changed" for entry in stage.deps + stage.outs]
            reasons = {stray for entry in entries for stray in blamed(entry, root, strays)}
    except LockError as error:
        raise InputError(root, expected="a DVC project that nothing else works in", hint=f"found: {error}") from error
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


def _fate(stage: "Stage", above: Mapping["Stage", Fate], allow_missing: bool) -> Fate:
    """What becomes of a stage, given what becomes of those whose outputs it reads."""
    if stage.changed_stage() or any(_differs(dep, above, allow_missing) for dep in stage.deps):
        return "changed"
    found = {out: status for out in stage.outs for status in out.status().values()}
    missing = {out for out, status in found.items() if status in ("deleted", "not in cache")}
    if allow_missing:
        found = {out: status for out, status in found.items() if out not in missing}
    if found and not _comes_back(stage):
        return "lost" if all(out in missing and out.use_cache for out in found) else "changed"
    if any(fate in MAKES for fate in above.values()):
        return "follower"
    if any(is_copy_edited(out) for out in found):
        return "edited"
    return "restored" if found else "kept"


def _differs(dep: "Dependency", above: Mapping["Stage", Fate], allow_missing: bool) -> bool:
    """Whether an input is another than the stage last ran on, for sure: what will be made anew is not known yet."""
    makers = [(maker, out) for maker in above for out in maker.outs if overlap(dep.fs_path, out.fs_path)]
    if same := [out for _, out in makers if out.fs_path == dep.fs_path]:
        return dep.hash_info != same[0].hash_info
    if any(above[maker] in MAKES for maker, _ in makers):
        return False
    status = list(dep.status().values())
    return bool(status) and not (allow_missing and status == ["deleted"])


def _comes_back(stage: "Stage") -> bool:
    """Whether DVC takes the outputs from its cache instead of running the stage.

    It removes them all first, those that git keeps as well: the cache must have each one's bytes, from wherever.
    """
    return bool(stage.cmd and stage.deps) and all(map(_in_cache, stage.outs))


def _in_cache(out: "Output") -> bool:
    asked = copy(out)
    asked.use_cache = True
    return not asked.changed_cache()


def is_empty(plan: Plan) -> bool:
    """Whether no stage would run."""
    return not (plan.changed or plan.lost or plan.followers)


def sentences(plan: Plan) -> Sequence[str]:
    """What would happen, a line for each kind."""
    pull = "; `dvc repro --pull` asks the remote for it first" if plan.has_remote else ""
    kinds = {
        "runs": plan.changed,
        f"runs, as DVC's cache lacks what it made{pull}": plan.lost,
        "follows, unless what it reads comes out the same": plan.followers,
        "does not run; what it made is brought back from DVC's cache": plan.restored,
        "does not run, nor is mended: DVC's copy was edited, too (`wheretolook verify` says what to do)": plan.edited,
    }
    lines = [f"{what}: {', '.join(stages)}" for what, stages in kinds.items() if stages]
    if plan.strays:
        reason = "because of files that belong to no model in params.yaml (`wheretolook tidy` says whose they are)"
        lines.insert(1, f"{reason}: {', '.join(plan.strays)}")
    return [*lines, *(["plan: nothing would run"] if is_empty(plan) else [])]
