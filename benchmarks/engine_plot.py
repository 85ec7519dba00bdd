"""The figures as one plot: how many times the peers' time, and the bars."""

from pathlib import Path


def draw(result: dict, path: Path) -> None:
    """Draw every figure of which more is better, looknet first, each with its bar."""
    from matplotlib.figure import Figure

    bars = [bar for bar in result["bars"] if bar["at_least"]]
    figure = Figure(figsize=(8, 0.9 + 0.42 * len(bars)), layout="constrained")
    axes = figure.add_subplot()
    places = range(len(bars), 0, -1)
    colours = ["#0b62a8" if bar["bar"] is not None else "#9db8cc" for bar in bars]
    axes.barh(places, [bar["figure"] for bar in bars], color=colours, height=0.6)
    for place, bar in zip(places, bars, strict=True):
        axes.text(bar["figure"], place, f" {bar['figure']:.1f}×", va="center", fontsize=8)
        if bar["bar"] is not None:
            axes.plot([bar["bar"]] * 2, [place - 0.4, place + 0.4], color="#b4460f", linewidth=2)
    axes.set_yticks(list(places), [bar["work"] for bar in bars], fontsize=8)
    axes.set_xscale("log")
    axes.set_xlim(1, 2 * max(bar["figure"] for bar in bars))
    axes.set_xticks([1, 2, 5, 10, 20, 50], ["1×", "2×", "5×", "10×", "20×", "50×"], fontsize=8)
    axes.minorticks_off()
    axes.set_title(
        f"Time of the peers over ours (red: the bar)\n{result['machine']['processor']}, "
        f"{result['machine']['threads']} threads, batch {result['batch']} × 112 px, median of {result['rounds']}",
        fontsize=9,
        loc="left",
    )
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, metadata={"Software": None})
