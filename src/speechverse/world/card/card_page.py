"""The page: what the corpus is, its faults first, then counts, spreads, checks and clips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from speechverse.corpora.counts import FieldCounts, as_text
from speechverse.corpora.samples import audio_source
from speechverse.evaluation.report.plots import histogram_plot
from speechverse.evaluation.report.render import render_page
from speechverse.types import Utterance
from speechverse.world.card.card import Card
from speechverse.world.card.leakage import NEAR_CHANCE

_NOT_SHOWN = ("keywords", "translations", "slots", "intent", "is_speech")  # under a clip


def card_page(card: Card, page: Path, command: str) -> str:
    """The HTML of a card that will lie at `page`; needs matplotlib."""
    durations = histogram_plot("seconds", card.durations, "durations of clips")
    plots = [("Duration", "all clips", durations)]
    if card.levels:
        levels = histogram_plot("dBFS", card.levels, "levels of clips")
        plots.append(("Level", "of the sounding parts of the clips listened to", levels))
    made = "Synthetic speech: no person was recorded. " if card.description.get("synthetic") else ""
    return render_page(
        "card.html",
        __package__,
        title=f"{card.name}: corpus card",
        kind="speechverse corpus card",
        heading=card.name,
        lead=(
            f"{made}What it holds, how each class sounds, and what can be guessed in it without"
            " listening."
        ),
        facts=_headline(card),
        card=card,
        command=command,
        plots=plots,
        made=[*_origin(card), ("card made by", command)],
        near_chance=NEAR_CHANCE,
        describe=_describe,
        largest=_largest,
        source=lambda clip: audio_source(clip.audio, page, card.settings.embed),
    )


def _headline(card: Card) -> dict[str, str]:
    sizes = card.splits.values()
    facts = {
        "clips": f"{sum(split.clips for split in sizes):,}",
        "hours": f"{sum(split.hours for split in sizes):.2f}",
        "speakers": f"{sum(split.speakers for split in sizes) or 'not named'}",
    }
    if "seed" in card.description:
        facts["seed"] = str(card.description["seed"])
    if passed := [check.passed for check in card.checks if check.passed is not None]:
        facts["leakage checks passed"] = f"{sum(passed)} of {len(passed)}"
    return facts


def _origin(card: Card) -> list[tuple[str, Any]]:
    """What `corpus.json` says of how the corpus was made."""
    entries = {name: value for name, value in card.description.items() if name != "spec"}
    spec = card.description.get("spec") or {}
    entries |= {f"spec: {name}": value for name, value in spec.items()}
    return [(name.replace("_", " "), value) for name, value in entries.items()]


def _largest(field: FieldCounts, split: str) -> int:
    """Of the field's classes in a split; at least 1, as it is divided by."""
    return max([1, *(counts[split] for counts in field.counts.values())])


def _describe(clip: Utterance, field: str) -> str:
    """What else is known of a clip that is played for its label `field`."""
    labels = [
        f"{name.replace('_', ' ')} {as_text(value)}"
        for name, value in clip.labels.items()
        if name not in (field, *_NOT_SHOWN) and isinstance(value, str | int | float)
    ]
    return " · ".join([*([clip.speaker] if clip.speaker else []), *labels])
