"""An entry of `drive` in params.yaml: which file it wants, and what it says of a foreign one."""

from collections.abc import Mapping
from typing import Any

from wheretolook.data.drive import drive_link
from wheretolook.data.drive_folder_file import folder_address
from wheretolook.data.obtain import Wanted
from wheretolook.data.refusal import Refusal
from wheretolook.errors import InputError
from wheretolook.models.foreign import DESCRIBED, Description, describe


def read_entry(name: str, values: Mapping[str, Any]) -> tuple[Wanted, Description | None]:
    """What an entry asks for.

    Args:
        name: of the model.
        values: identifier, url, folder, file, sha256 and DESCRIBED, as the options of `sync` have parsed them.

    Returns:
        The file, and the description of a foreign state dict; None where the file is to describe itself.

    Raises:
        InputError: not exactly one of id, url and folder, a folder without a file, or half a description.
    """
    entry = f"drive.{name}"
    sources = {"id": values["identifier"], "url": values["url"], "folder": values["folder"]}
    given = [key for key, value in sources.items() if value]
    if len(given) != 1:
        raise InputError(
            entry, "one of id, url and folder", " and ".join(given) or "none", "`wheretolook share` prints an entry"
        )
    if bool(values["folder"]) != bool(values["file"]):
        missing = "file" if values["folder"] else "folder"
        raise InputError(entry, "folder and file together", f"no {missing}", "As folder: ID, file: best.pt")
    address = {"id": drive_link, "url": str, "folder": folder_address}[given[0]](sources[given[0]])
    wanted = Wanted(address, values["sha256"], f"{entry}.sha256", values["file"])
    # A list in params.yaml came as one option again and again. Of numbers it is read as one text; a class's name may
    # have a comma in it.
    given = {key: values[key] for key in DESCRIBED}
    try:
        return wanted, describe(entry, **given | {key: ",".join(values[key]) for key in ("mean", "std")})
    except Refusal as refusal:
        if str(refusal).startswith(entry):
            raise
        raise Refusal(f"{entry}: {refusal}") from refusal
