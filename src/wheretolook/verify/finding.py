"""One thing that is not as it was written, and how it is put right."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


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
        remedy: "rerun" the stage; "checkout", where DVC's cache has a whole copy; or "remove", where that is all.
    """

    path: str
    expected: str
    found: str
    stage: str
    remove: tuple[str, ...] = ()
    remedy: Literal["rerun", "checkout", "remove"] = "rerun"

    def __str__(self) -> str:
        return f"{self.path}: expected {self.expected}, found {self.found} (stage {self.stage})"


def remedies(findings: Sequence[Finding]) -> list[str]:
    """Commands for a shell that put it right: what is damaged goes, what is cached comes back, stages run again."""
    remove = [path for finding in findings for path in finding.remove]
    back = [finding.path for finding in findings if finding.remedy == "checkout"]
    # `--force` alone would run all that comes before a stage, too.
    again = [finding.stage for finding in findings if finding.remedy == "rerun"]
    commands = [("rm -rf", remove), ("dvc checkout", back), ("dvc repro --single-item --force", again)]
    typed = [f"{command} {_words(words)}" for command, words in commands if words]
    return [*typed, *(["dvc repro"] if again else [])]


def _words(words: Sequence[str]) -> str:
    return " ".join(map(shlex.quote, dict.fromkeys(words)))
