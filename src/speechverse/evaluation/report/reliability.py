"""The reliability of scored answers, as the page shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from speechverse.evaluation.calibration import WANTED_ACCURACY
from speechverse.evaluation.report.plots import ACCENT, CARD_WIDTH, LINE, SOFT, draw
from speechverse.evaluation.report.views import View
from speechverse.evaluation.results import Calibration, Results
from speechverse.metrics.calibration import NUM_BINS

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def calibration_cards(results: Results, own: str) -> list[View]:
    """One system's reliability plots, with the number that sums each up and the curve behind it."""
    titles = {report.name: report.title for report in results.tasks}
    return [
        {
            "title": titles[found.task],
            "line": _line(results, found),
            "plot": _plot(titles[found.task], found),
            "curve": [
                (f"{threshold:.2f}", f"{100 * share:.0f}", f"{100 * accuracy:.1f}")
                for threshold, share, accuracy in found.curve
            ],
        }
        for found in results.calibrations
        if found.system == own
    ]


def _line(results: Results, found: Calibration) -> str:
    ece = results.score(found.task, found.system, "ece")
    assert ece is not None  # what has a table has been scored
    told = f"ECE {100 * ece.value:.1f} % ({100 * ece.low:.1f} to {100 * ece.high:.1f})"
    covered = results.score(found.task, found.system, "coverage")
    right = results.score(found.task, found.system, "answered_accuracy")
    if covered and right:
        return (
            f"{told}; with the threshold chosen on validation clips {100 * covered.value:.0f} %"
            f" are answered, {100 * right.value:.1f} % of these rightly"
        )
    if found.threshold is None:
        return f"{told}; no threshold leaves {WANTED_ACCURACY:.0%} right answers"
    return f"{told}; {WANTED_ACCURACY:.0%} are right from a probability of {found.threshold:.2f} on"


def _plot(title: str, found: Calibration) -> Markup:
    largest = max(count for count, _, _ in found.bins)

    def paint(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1.0, linestyle=(0, (3, 2)))
        for place, (count, probability, accuracy) in enumerate(found.bins):
            if count:
                left, width = place / NUM_BINS, 1 / NUM_BINS
                axes.bar(left, accuracy, width, align="edge", color=ACCENT, alpha=0.2)
                size = 3 + 7 * count / largest
                axes.plot([probability], [accuracy], "o", color=ACCENT, markersize=size)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_xlabel("probability")
        axes.set_ylabel("share right")
        axes.grid(color=LINE, linewidth=0.5)
        axes.set_axisbelow(True)

    told = ", ".join(
        f"{accuracy:.2f} at {probability:.2f}"
        for count, probability, accuracy in found.bins
        if count
    )
    return draw(CARD_WIDTH, 2.6, f"{title}: share of right answers by probability: {told}", paint)
