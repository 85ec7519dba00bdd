"""An entry of `drive` in params.yaml: which file it wants, and what it says of a foreign one."""

from collections.abc import Mapping
from typing import Any

from wheretolook.data.drive import drive_link
from wheretolook.data.obtain import Wanted
from wheretolook.data.refusal import Refusal
from wheretolook.models.foreign import DESCRIBED, Description, describe


def read_entry(name: str, values: Mapping[str, Any]) -> tuple[Wanted, Description | None]:
    """What an entry asks for.

    Args:
        name: of the model.
        values: identifier, url, sha256 and DESCRIBED, as the options of `sync` have parsed them.

    Returns:
        The file, and the description of a foreign state dict; None where the file is to describe itself.

    Raises:
        Refusal: not exactly one of id and url, or a description that is not whole.
    """
    entry, identifier, url = f"drive.{name}", values["identifier"], values["url"]
    if bool(identifier) == bool(url):
        found = "both; take one out" if url else "neither; `wheretolook share` prints an entry"
        raise Refusal(f"{entry}: expected one of id and url, found {found}")
    wanted = Wanted(url or drive_link(identifier), values["sha256"], f"{entry}.sha256")
    # A list in params.yaml came as one option again and again. Of numbers it is read as one text; a class's name may
    # have a comma in it.
    given = {key: values[key] for key in DESCRIBED}
    try:
        return wanted, describe(entry, **given | {key: ",".join(values[key]) for key in ("mean", "std")})
    except Refusal as refusal:
        if str(refusal).startswith(entry):
            raise
        raise Refusal(f"{entry}: {refusal}") from refusal
