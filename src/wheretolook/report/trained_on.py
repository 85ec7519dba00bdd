"""Whether the models have seen the images that the report is about: a claim that only their files can back."""

from collections.abc import Sequence
from enum import Enum
from urllib.parse import urlsplit

from wheretolook.report.results import Results, loss_of
from wheretolook.report.words import listed

DRIVE_HOSTS = ("drive.google.com", "docs.google.com", "drive.usercontent.google.com")


class TrainedOn(Enum):
    """What a model's file says of the data that it was trained on."""

    THESE = "these data"
    OTHER = "other data"
    UNKNOWN = "not recorded"


def trained_on(results: Results, name: str) -> TrainedOn:
    """Compare the data that a model was trained on, by its own file, with the data of its maps."""
    recorded = results.models[name]["model"].get("trained_on")
    if not recorded:
        return TrainedOn.UNKNOWN
    return TrainedOn.THESE if recorded == results.exports[name]["data"]["sha256"] else TrainedOn.OTHER


def all_on_these(results: Results) -> bool:
    """Whether every model was trained on the train split of these data, so that the other splits are held out."""
    return all(trained_on(results, name) is TrainedOn.THESE for name in results.names)


def seen_words(results: Results) -> str:
    """Which models have not seen the images of the compared split, as a sentence."""
    by_kind = _by_kind(results)
    if set(by_kind) == {TrainedOn.THESE}:
        return "No model was trained on them."
    return " ".join(_sentence(kind, names) for kind, names in by_kind.items())


def data_alerts(results: Results) -> list[str]:
    """What to know before any figure about models that were trained elsewhere; empty where there is none."""
    by_kind = _by_kind(results)
    return [_sentence(kind, names) for kind, names in by_kind.items() if kind is not TrainedOn.THESE]


def origin_of(results: Results, name: str) -> str:
    """Where a model came from."""
    if name not in results.drive:
        return f"trained here, loss {loss_of(results.models[name])}"
    given = results.parameters.get("drive", {}).get(name) or {}
    if given.get("id"):
        return "Google Drive"
    url = str(given.get("url") or "")
    parts = urlsplit(url)
    if parts.scheme in ("http", "https"):
        return "Google Drive" if parts.hostname in DRIVE_HOSTS else f"downloaded from {parts.hostname}"
    return f"a file: {url.replace(chr(92), '/').rsplit('/', 1)[-1]}" if url else "elsewhere"


def _by_kind(results: Results) -> dict[TrainedOn, list[str]]:
    found = {kind: [name for name in results.names if trained_on(results, name) is kind] for kind in TrainedOn}
    return {kind: names for kind, names in found.items() if names}


def _sentence(kind: TrainedOn, names: Sequence[str]) -> str:
    if kind is TrainedOn.THESE:
        return f"Not trained on them: {listed(names)}."
    them = "it" if len(names) == 1 else "them"
    if kind is TrainedOn.OTHER:
        return (
            f"Trained on other data: {listed(names)}. Those data may hold some of these images, so no figure of {them} "
            "is known to be of held-out images."
        )
    return (
        f"Training data not recorded in the model file: {listed(names)}. No figure of {them} is known to be of "
        "held-out images."
    )
