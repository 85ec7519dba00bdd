"""The loaders of what comes from outside: each takes bytes, and ends well or with a refusal."""

import io
import random
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from tests.fuzzing import corpora
from tests.fuzzing.mutations import SEEDS, Change, apply, draw_changes, mutated, repair_png, repair_tar, repair_weights
from tests.importing.forked import forked_quarantine
from wheretolook.base.errors import InputError


@dataclass(frozen=True)
class Target:
    """A loader under test.

    Attributes:
        inputs: gives the mutated bytes.
        load: takes them and a scratch folder, in which `room` is where it may write.
        share: of all tries, in parts.
    """

    inputs: Callable[[], st.SearchStrategy[bytes]]
    load: Callable[[bytes, Path], None]
    share: int


def run(target: Target, data: bytes) -> str:
    """Load the bytes; "loaded" or "refused".

    Raises:
        AssertionError: a file stands where none may.
        Exception: whatever the loader raised that is no refusal; that is an escape.
    """
    with tempfile.TemporaryDirectory(prefix="wheretolook-fuzz-") as folder:
        scratch = Path(folder)
        (scratch / "room").mkdir()
        (scratch / "input").write_bytes(data)
        try:
            target.load(data, scratch)
        except InputError:
            assert not list((scratch / "room").iterdir()), "a refused input left a file"
            return "refused"
        finally:
            outside = {path.name for path in scratch.iterdir()} - {"room", "input"}
            assert not outside, f"a file outside: {outside}"
        return "loaded"


def load_archive(_: bytes, scratch: Path) -> None:
    from wheretolook.sources.archive import Limits, unpack

    unpack(scratch / "input", scratch / "room" / "raw", root="", limits=Limits(files=1000, free_bytes=1 << 22))


def load_image(data: bytes, _: Path) -> None:
    from wheretolook.images.decode import decode_image

    image = decode_image(io.BytesIO(data))
    assert image.mode == "RGB"


def load_model_file(_: bytes, scratch: Path) -> None:
    from wheretolook.importing.import_model import import_model

    with forked_quarantine(memory=1 << 28, seconds=5):
        import_model(scratch / "input", "input", scratch / "room" / "m.safetensors", None)


def load_state(_: bytes, scratch: Path) -> None:
    from wheretolook.importing.foreign import Description, convert_foreign

    looknet = Description("looknet", {"width": 4, "depth": 2}, ("infected", "uninfected"), 32)
    with forked_quarantine(memory=1 << 28, seconds=5):
        convert_foreign(scratch / "input", "input", scratch / "room" / "m.safetensors", looknet)


def states() -> st.SearchStrategy[bytes]:
    """Half of the changes are to the pickle inside, packed again: to the bytes around it the reader is soon blind."""
    originals = corpora.states()

    def build(seed: int) -> bytes:
        draw = random.Random(seed)
        return _with_changed_pickle(draw.choice(originals), draw_changes(draw, 4))

    return st.one_of(mutated(originals, lambda data: data), SEEDS.map(build))


def _with_changed_pickle(data: bytes, chain: list[Change]) -> bytes:
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return _changed(data, chain)
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(packed, "w") as new:
        for info in old.infolist():
            content = old.read(info)
            new.writestr(info.filename, _changed(content, chain) if info.filename.endswith("data.pkl") else content)
    return packed.getvalue()


def _changed(data: bytes, chain: list[Change]) -> bytes:
    for change in chain:
        data = apply(data, change)
    return data


TARGETS = {
    "archives": Target(lambda: mutated(corpora.archives(), repair_tar), load_archive, 9),
    "images": Target(lambda: mutated(corpora.images(), repair_png), load_image, 7),
    "model files": Target(lambda: mutated(corpora.weights(), repair_weights), load_model_file, 4),
    "state dicts": Target(states, load_state, 1),
}
