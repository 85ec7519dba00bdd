"""The outputs as a whole: what is known of each file's bytes, which stage makes it, and what is damaged already."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wheretolook.pipeline.locked import Locked
from wheretolook.verify.finding import Finding
from wheretolook.verify.outputs import Digests


@dataclass(frozen=True)
class Tree:
    """The outputs, and what is known of their bytes.

    Attributes:
        root: the folder of dvc.yaml.
        digests: of every file of the outputs.
        makers: the stage that makes each output, by the output's path.
        broken: paths, below the root, of which a finding tells already: nothing is concluded from those.
    """

    root: Path
    digests: Digests
    makers: dict[str, str]
    broken: frozenset[str]

    def has(self, path: str) -> bool:
        """Whether a file stands there and is what its stage wrote."""
        return (self.root / path) in self.digests and not any(part in self.broken for part in _ways(path))

    def sha256(self, path: str) -> str:
        """SHA-256 of a file."""
        return self.digests[self.root / path].sha256

    def json(self, path: str) -> Any:
        """A JSON file's value."""
        return json.loads((self.root / path).read_text(encoding="utf-8"))

    def maker(self, path: str) -> str:
        """The stage that makes the output in which a path lies."""
        return next(self.makers[part] for part in _ways(path) if part in self.makers)


def tree_of(locked: Locked, digests: Digests, findings: Sequence[Finding]) -> Tree:
    """The tree after its bytes were held against dvc.lock."""
    makers = {pin.path: stage.name for stage in locked.stages for pin in stage.outputs}
    return Tree(locked.root, digests, makers, frozenset(finding.path for finding in findings))


def _ways(path: str) -> list[str]:
    """The path and all folders above it, nearest first."""
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(len(parts), 0, -1)]
