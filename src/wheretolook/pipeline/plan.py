"""What `dvc repro` would run, also on a clone without data, where `dvc repro --dry` stops at the first stage."""

import warnings
from dataclasses import dataclass
from pathlib import Path

from wheretolook.data.refusal import Refusal


@dataclass(frozen=True)
class Plan:
    """Stages in the order in which they would run.

    Attributes:
        changed: those whose parameters, code or inputs changed themselves, or that never ran: they run.
        followers: those that read what the changed ones write: they run, unless it comes out the same.
    """

    changed: tuple[str, ...]
    followers: tuple[str, ...]


def plan_run(root: Path) -> Plan:
    """Ask DVC which stages changed; data that are not here count as they stand in dvc.lock.

    Raises:
        Refusal: no DVC project, or files that DVC cannot read.
    """
    import networkx
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo
    from dvc.repo.reproduce import plan_repro

    try:
        with warnings.catch_warnings(), Repo(str(root)) as repo, repo.lock:
            warnings.simplefilter("ignore", DeprecationWarning)  # DVC's own use of pygtrie
            graph = repo.index.graph
            order = plan_repro(graph)
            changed = [stage for stage in order if stage.changed(True, list(graph.successors(stage)))]
            readers = {reader for stage in changed for reader in networkx.ancestors(graph, stage)}
    except (DvcException, LockError) as error:
        raise Refusal(f"{root}: expected a DVC project that nothing else works in; found: {error}") from error
    return Plan(
        tuple(stage.name for stage in changed),
        tuple(stage.name for stage in order if stage in readers and stage not in changed),
    )
