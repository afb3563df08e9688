"""The terminal table: clips and listings down, ways to choose across, intervals beside the accuracies."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from speechverse.evaluation.offered.choosing import CHOOSERS
from speechverse.evaluation.offered.measure import ChoiceScore, OfferedResults


def offered_table(measured: Sequence[OfferedResults]) -> Table:
    """Accuracies of every corpus, of one model and lists of one size; in percent, with 95 % intervals."""
    first = measured[0]
    table = Table(
        title=f"{first.model.get('name', 'model')}: one of {first.settings['size']} intents, accuracy in %",
        caption=f"by chance {first.chance:.1%}; the rules read the transcript of the system that they stand beside",
        caption_justify="left",
    )
    table.add_column("clips")
    table.add_column("n", justify="right")
    table.add_column("intents", justify="right")
    table.add_column("listed by")
    table.add_column("system", no_wrap=True)
    for chooser in CHOOSERS:
        table.add_column(chooser, justify="right")
    for results in measured:
        for stratum, listing in dict.fromkeys((score.stratum, score.listing) for score in results.scores):
            table.add_section()
            _add_rows(table, results, stratum, listing)
    return table


def _add_rows(table: Table, results: OfferedResults, stratum: str, listing: str) -> None:
    """One row a system; what is the same for all of them stands in the first."""
    shown = [score for score in results.scores if (score.stratum, score.listing) == (stratum, listing)]
    about = [stratum, str(shown[0].num_clips), str(shown[0].num_labels), listing]
    for system in dict.fromkeys(score.system for score in shown):
        by_chooser = {score.chooser: score for score in shown if score.system == system}
        table.add_row(*about, system, *(_cell(by_chooser.get(chooser)) for chooser in CHOOSERS))
        about = [""] * len(about)


def _cell(score: ChoiceScore | None) -> Text:
    if score is None:
        return Text("–", style="dim")
    return Text.assemble(f"{score.value:.1%}"[:-1], (f" {score.low * 100:.0f}–{score.high * 100:.0f}", "dim"))
