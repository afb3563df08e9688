"""What probes found: layers down, questions across, with intervals; for the terminal and JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from speechverse.metrics import Interval

LOG_MEL = "log-mel"


@dataclass(frozen=True)
class ProbeColumn:
    """One question, asked of each layer.

    Attributes:
        chance: What always giving one answer would reach.
        scores: Of the log-mel frames, then of each layer from the input: value and 95 % bootstrap
            interval over clips.
    """

    name: str
    metric: str
    chance: float
    num_answers: int
    num_fit: int
    num_test: int
    scores: tuple[Interval, ...]

    @property
    def best_layer(self) -> int:
        """The layer, counted from 1, that tells most (log-mel not among them)."""
        return max(range(1, len(self.scores)), key=lambda layer: self.scores[layer].value)


@dataclass(frozen=True)
class ProbeTable:
    """All that was asked of one encoder; questions that the clips have no labels for are skipped,
    name → reason.
    """

    encoder: str
    columns: tuple[ProbeColumn, ...]
    skipped: Mapping[str, str]

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the rows."""
        count = len(self.columns[0].scores) if self.columns else 0
        return tuple(LOG_MEL if layer == 0 else str(layer) for layer in range(count))

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "encoder": self.encoder,
            "layers": list(self.layers),
            "probes": {
                column.name: {
                    "metric": column.metric,
                    "chance": round(column.chance, 4),
                    "answers": column.num_answers,
                    "fit": column.num_fit,
                    "test": column.num_test,
                    "best_layer": column.best_layer,
                    "scores": [[round(number, 4) for number in score] for score in column.scores],
                }
                for column in self.columns
            },
            "skipped": dict(self.skipped),
        }

    def for_terminal(self) -> Table:
        """A rich table; the best layer of a column is bold."""
        notes = [f"{name} not asked: {reason}" for name, reason in self.skipped.items()]
        table = Table(title=escape(f"linear probes of {self.encoder}"), box=SIMPLE)
        table.caption, table.caption_justify = escape("; ".join(notes)) or None, "left"
        table.add_column("layer")
        for column in self.columns:
            table.add_column(escape(column.name.replace("_", "\n")), justify="right", no_wrap=True)
        for layer, name in enumerate(self.layers):
            table.add_row(name, *(_cell(column, layer) for column in self.columns))
        chances = (f"{column.chance:.2f}" for column in self.columns)
        clips = (f"{column.num_fit}\n→ {column.num_test}" for column in self.columns)
        table.add_section()
        table.add_row("chance", *chances, style="dim")
        table.add_row("clips", *clips, style="dim")
        return table


def _cell(column: ProbeColumn, layer: int) -> Text:
    value, low, high = column.scores[layer]
    style = "bold" if layer == column.best_layer else ""
    interval = "–".join(f"{side:.2f}".removeprefix("0") for side in (low, high))
    return Text.assemble((f"{value:.2f}", style), (f"\n{interval}", "dim"))
