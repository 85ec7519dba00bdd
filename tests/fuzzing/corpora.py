"""Small valid files of every kind that a loader reads: what the changes start from."""

import bz2
import gzip
import io
import lzma
import tarfile
import tempfile
import zipfile
from pathlib import Path

from PIL import Image

ENTRIES = [("cells/infected/1.png", b"one" * 40), ("cells/infected/größe.png", b"two"), ("cells/healthy/1.png", b"")]


def archives() -> list[bytes]:
    """Zips with and without compression; tars of each format, plain and compressed."""
    plain = [_tar(kind) for kind in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)]
    packed = [pack(plain[0]) for pack in (gzip.compress, lzma.compress, bz2.compress)]
    zips = [_zip(kind) for kind in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA)]
    return [*plain * 3, *packed, *zips * 3]


def _tar(kind: int) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=kind) as archive:
        # Too long for one field of a header: each format has its own way out.
        for name, content in [*ENTRIES, (f"cells/healthy/{'long' * 12}/{'long' * 12}.png", b"x")]:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def _zip(kind: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", kind) as archive:
        for name, content in ENTRIES:
            archive.writestr(name, content)
    return file.getvalue()


def images() -> list[bytes]:
    """Every format that is read, in its modes."""
    picture = Image.linear_gradient("L").resize((24, 16))
    colour = Image.merge("RGB", (picture, picture.rotate(180), picture))
    kinds = [
        (colour, "PNG"), (colour.convert("P"), "PNG"), (picture.convert("LA"), "PNG"), (colour.convert("RGBA"), "PNG"),
        (picture.convert("I").convert("I;16"), "PNG"), (colour, "JPEG"), (colour.convert("CMYK"), "JPEG"),
        (picture, "JPEG"), (colour, "BMP"), (colour.convert("P"), "BMP"), (colour, "TIFF"), (picture, "TIFF"),
        (colour, "WEBP"), (colour.convert("RGBA"), "WEBP"), (colour.convert("P"), "GIF"),
    ]  # fmt: skip
    return [_image(image, kind) for image, kind in kinds]


def _image(image: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    options = {"exif": _turned()} if kind == "JPEG" else {}
    image.save(file, kind, **options)
    return file.getvalue()


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def weights() -> list[bytes]:
    """A model file of ours, and safetensors files without a card."""
    import torch
    from safetensors.torch import save

    from tests.networks.made_models import write_model

    with tempfile.TemporaryDirectory() as folder:
        own = write_model(Path(folder) / "own.safetensors").read_bytes()
    plain = save({"a.weight": torch.ones(2, 3), "b": torch.zeros(0), "c": torch.tensor(1)}, {"format": "pt"})
    return [own, own, plain]


def states() -> list[bytes]:
    """State dicts in both of PyTorch's formats, bare and inside a checkpoint."""
    import torch

    from tests.networks.made_models import foreign_state

    def saved(value: object, new: bool) -> bytes:
        file = io.BytesIO()
        torch.save(value, file, _use_new_zipfile_serialization=new)
        return file.getvalue()

    state = foreign_state()
    return [saved(value, new) for value in (state, {"epoch": 1, "state_dict": state}) for new in (True, False)]
