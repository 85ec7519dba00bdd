"""Whether maps and data belong together."""

from wheretolook.cams.store import Maps
from wheretolook.data.prepared import Prepared
from wheretolook.data.refusal import Refusal
from wheretolook.data.remedy import remedy


def check_data(maps: Maps, prepared: Prepared) -> None:
    """Refuse maps that were made from other data than that which they are held against.

    Raises:
        Refusal: the data's hash, or the classes, differ.
    """
    for what, expected, found in (
        ("data", prepared.sha256[:12], maps.manifest["data"]["sha256"][:12]),
        ("classes", list(prepared.class_names), list(maps.class_names)),
    ):
        if expected != found:
            raise Refusal(f"{maps.folder}: expected maps of {what} {expected}, found {found}; {remedy(maps.folder)}")
