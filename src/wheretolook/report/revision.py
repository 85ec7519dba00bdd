"""Which git revision a page was made from: found once for each content, so that equal inputs give equal bytes.

A page that simply named HEAD would be another file after each commit, also after the commit of the results themselves,
and DVC would take it for changed results. So the revision is written down beside the page's content, in a small file
that git tracks with the results; a run that comes to the same content keeps the revision that it was first made from.
"""

import hashlib
import json
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from wheretolook.data.atomic import write_json

# Stands in the page where the revision goes.
PLACE = "[[the git revision]]"
INPUTS = ("params.yaml", "dvc.yaml", "src", "stages")
SHOWN = 5


@dataclass(frozen=True)
class Revision:
    """A commit, and the inputs of the pipeline that differed from it.

    Attributes:
        commit: its hash; empty where there was no git repository, or no commit in it.
        changed: paths, sorted; a commit of later holds them.
    """

    commit: str
    changed: tuple[str, ...]

    def words(self) -> str:
        """For the page."""
        if not self.commit:
            return "none: these results were made outside of a git repository"
        shown = ", ".join(self.changed[:SHOWN])
        more = f" and {len(self.changed) - SHOWN} more" if len(self.changed) > SHOWN else ""
        return self.commit + (f", with changes in {shown}{more} that were not committed yet" if self.changed else "")


def name_revision(page: str, record: Path) -> str:
    """Put the revision that a page was first made from into its place.

    Args:
        page: with `PLACE` in it.
        record: the file that keeps the revision of one content, reports/revision.json; its folder lies in the
            project. Written where the content is another than it says.

    Returns:
        The same page, for the same page and record.
    """
    digest = hashlib.sha256(page.encode("utf-8")).hexdigest()
    known = _known(record, digest)
    if known is None:
        known = current_revision(record.parent.parent)
        write_json(record, {"page": digest, **asdict(known)})
    return page.replace(PLACE, known.words())


def _known(record: Path, digest: str) -> Revision | None:
    """The revision on record for this content; None for another content, or a file that is no record."""
    try:
        kept = json.loads(record.read_text(encoding="utf-8"))
        return Revision(kept["commit"], tuple(kept["changed"])) if kept["page"] == digest else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def current_revision(root: Path) -> Revision:
    """HEAD, and which inputs of the pipeline differ from it now.

    Args:
        root: the folder of dvc.yaml.
    """
    commit = _git(root, "rev-parse", "--verify", "--quiet", "HEAD").strip()
    if not commit:
        return Revision("", ())
    lines = _git(root, "status", "--porcelain", "--no-renames", "-z", "--", *INPUTS).split("\0")
    return Revision(commit, tuple(sorted(line[3:] for line in lines if line)))


def _git(root: Path, *words: str) -> str:
    """What git prints; nothing where it fails, or is not there."""
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout if done.returncode == 0 else ""
