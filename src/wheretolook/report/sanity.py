"""Which maps failed the sanity check: they are marked wherever they are shown."""

from collections.abc import Iterable

from wheretolook.report.results import Results
from wheretolook.report.words import listed

MARK = "fails sanity"


def fails_sanity(results: Results, name: str, method: str, layer: str | None) -> bool:
    """Whether a model's maps of one method and layer stay alike when its weights are random; False where open."""
    found = (results.models[name].get("sanity") or {}).get(f"{method}.{layer}")
    return found is not None and found["verdict"] == "fail"


def failing(results: Results, name: str) -> list[str]:
    """METHOD.LAYER of a model's maps that fail."""
    asked = results.models[name].get("sanity") or {}
    return [key for key, found in asked.items() if found["verdict"] == "fail"]


def sanity_lines(results: Results) -> Iterable[str]:
    """For each model one line of Markdown: which maps fail, or that none does."""
    for name in results.names:
        asked = results.models[name].get("sanity")
        if not asked:
            continue
        undecided = [key for key, found in asked.items() if found["verdict"] == "open"]
        bad = failing(results, name)
        passed = len(asked) - len(bad) - len(undecided)
        parts = [f"{passed} of {len(asked)} pass"]
        parts += [f"**fail:** {listed(bad)}"] if bad else []
        parts += [f"open: {listed(undecided)}"] if undecided else []
        yield f"- {name}: {'; '.join(parts)}"
