"""One thing that is not as it was written, and how it is put right."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Remedy = Literal["rerun", "checkout", "pull", "remove", "tidy"]


@dataclass(frozen=True)
class Finding:
    """A file or folder that is missing, changed, or does not belong to the others.

    Attributes:
        path: below the root, with slashes.
        expected: what should stand there, and who says so.
        found: what does.
        stage: the stage that makes it.
        remove: damaged files, to be removed first: DVC takes a file of the same size and time for the same file, and
            never looks into its own cache again.
        remedy: "rerun" the stage; "checkout", where DVC's cache has a whole copy; "pull", where the remote may have
            one; "remove", where that is all; or "tidy", for what a removed model left.
        missing: whether nothing stands there.
    """

    path: str
    expected: str
    found: str
    stage: str
    remove: tuple[str, ...] = ()
    remedy: Remedy = "rerun"
    missing: bool = False

    def __str__(self) -> str:
        return f"{self.path}: expected {self.expected}, found {self.found} (stage {self.stage})"


def remedies(findings: Sequence[Finding]) -> list[str]:
    """Commands for a shell that put it right: what is damaged goes, what is cached comes back, stages run again."""
    again = [finding.stage for finding in findings if finding.remedy == "rerun"]
    commands = {
        "rm -rf": [path for finding in findings for path in finding.remove],
        "dvc checkout": [finding.path for finding in findings if finding.remedy == "checkout"],
        "dvc pull": [finding.path for finding in findings if finding.remedy == "pull"],
        # `--force` alone would run all that comes before a stage, too.
        "dvc repro --single-item --force": again,
    }
    typed = [f"{command} {_words(words)}" for command, words in commands.items() if words]
    if any(finding.remedy == "tidy" for finding in findings):
        typed.insert(0, "wheretolook tidy --yes")
    return [*typed, *(["dvc repro"] if again else [])]


def _words(words: Sequence[str]) -> str:
    return " ".join(map(shlex.quote, dict.fromkeys(words)))
