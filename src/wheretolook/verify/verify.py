"""Whether everything in the tree is still what the stages wrote, and belongs together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wheretolook.pipeline.locked import Locked
from wheretolook.verify.comparison import check_comparison
from wheretolook.verify.data import check_prepared, check_raw
from wheretolook.verify.digests import digests
from wheretolook.verify.finding import Finding
from wheretolook.verify.models import check_models
from wheretolook.verify.outputs import check_chain, check_outputs, output_files
from wheretolook.verify.tree import Tree, tree_of


@dataclass(frozen=True)
class Verified:
    """What was looked at, and what was found.

    Attributes:
        files, size: how many files were read, and their bytes.
        findings: what is wrong, one for each path; empty if all is as it was written.
    """

    files: int
    size: int
    findings: tuple[Finding, ...]


def verify(locked: Locked, allow_missing: bool = False, strays: Sequence[str] = ()) -> Verified:
    """Read every byte of every output once, and hold it against dvc.lock, the manifests and each other.

    Args:
        locked: the pipeline (`read_lock`).
        allow_missing: files that are not here are no finding, as on a fresh clone, which has some of them at most.
        strays: files and folders of models that params.yaml does not name (`find_strays`).
    """
    read = digests(output_files(locked))
    findings = list(check_outputs(locked, read, strays))
    findings += check_chain(locked, read, [finding.path for finding in findings], strays)
    findings += _relations(tree_of(locked, read, findings))
    first = {(finding.path, finding.stage): finding for finding in reversed(findings)}
    kept = tuple(
        finding
        for finding in findings
        if first[finding.path, finding.stage] is finding and not (allow_missing and finding.missing)
    )
    return Verified(len(read), sum(found.size for found in read.values()), kept)


def _relations(tree: Tree) -> Iterator[Finding]:
    prepared, faults = check_prepared(tree)
    yield from faults
    if prepared is not None:
        yield from check_raw(tree, prepared)
    yield from check_models(tree, prepared)
    yield from check_comparison(tree)
