"""What is measured, and the bar it is held to."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Bar:
    """One figure.

    Attributes:
        work: in words.
        figure: a ratio.
        bar: what it must keep; None where it is only reported.
        at_least: whether the figure must be at least, or at most, the bar.
        seconds: medians behind the figure, by what was run.
    """

    work: str
    figure: float
    bar: float | None = None
    at_least: bool = True
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """Whether the bar holds, in words."""
        if self.bar is None:
            return ""
        held = self.figure >= self.bar if self.at_least else self.figure <= self.bar
        return f"{'≥' if self.at_least else '≤'} {self.bar:g}  {'ok' if held else 'MISSED'}"


def in_turn(
    works: dict[str, Callable[[], object]], rounds: int, clock: str = "wall", warm: int = 1
) -> dict[str, float]:
    """Median seconds of each work over the rounds; each round runs every work once, in turn."""
    now = time.perf_counter if clock == "wall" else time.process_time
    taken: dict[str, list[float]] = {name: [] for name in works}
    for number in range(warm + rounds):
        for name, work in works.items():
            began = now()
            work()
            if number >= warm:
                taken[name].append(now() - began)
    return {name: statistics.median(times) for name, times in taken.items()}


def ratio(work: str, seconds: dict[str, float], over: str, under: str, bar: float | None, at_least: bool = True) -> Bar:
    """The bar on `seconds[over] / seconds[under]`."""
    return Bar(work, seconds[over] / seconds[under], bar, at_least, {over: seconds[over], under: seconds[under]})


def print_table(bars: list[Bar]) -> None:
    for bar in bars:
        seconds = ", ".join(f"{name} {value:.4g}" for name, value in bar.seconds.items())
        print(f"{bar.work:72} {bar.figure:8.3f}  {bar.verdict:14}  {seconds}")
