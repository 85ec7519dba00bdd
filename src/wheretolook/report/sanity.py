"""Which maps failed the sanity check: they are marked wherever they are shown."""

from collections.abc import Iterable

from wheretolook.report.results import Results
from wheretolook.report.words import listed

MARK = "fails sanity"


def fails_sanity(results: Results, name: str, method: str, layer: str | None) -> bool:
    """Whether a model's maps of one method and layer stay alike when its weights are random; False where not asked."""
    found = (results.models[name].get("sanity") or {}).get(f"{method}.{layer}")
    return found is not None and found["passed"] is False


def failing(results: Results, name: str) -> list[str]:
    """METHOD.LAYER of a model's maps that fail."""
    asked = results.models[name].get("sanity") or {}
    return [key for key, found in asked.items() if found["passed"] is False]


def sanity_lines(results: Results) -> Iterable[str]:
    """For each model one line of Markdown: which maps fail, or that none does."""
    for name in results.names:
        asked = results.models[name].get("sanity")
        if not asked:
            continue
        known = [key for key, found in asked.items() if found["passed"] is not None]
        bad = failing(results, name)
        if not known:
            yield f"- {name}: not decided: that takes ten random networks or more, of `export` and of `score`"
        elif bad:
            yield f"- {name}: **fail:** {listed(bad)} ({len(known) - len(bad)} of {len(known)} pass)"
        else:
            yield f"- {name}: all {len(known)} pass"
