"""The page: what the corpus is, its faults first, then counts, spreads, ceilings
and clips to play.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from speechverse.evaluation.report.plots import histogram_plot
from speechverse.evaluation.report.render import render_page
from speechverse.types import Utterance
from speechverse.world.card.card import Card
from speechverse.world.card.fields import FieldCounts, shown
from speechverse.world.card.samples import audio_source
from speechverse.world.card.shortcuts import NEAR_CHANCE

_NOT_TOLD = ("keywords", "translations", "slots", "intent", "is_speech")


def card_page(card: Card, page: Path, command: str) -> str:
    """The HTML of a card that will lie at `page`.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    plots = [
        ("Duration", "all clips", histogram_plot("seconds", card.durations, "durations of clips"))
    ]
    if card.levels:
        plot = histogram_plot("dBFS", card.levels, "levels of clips")
        plots.append(("Level", "of the sounding parts of the clips listened to", plot))
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
        facts=_facts(card),
        card=card,
        command=command,
        plots=plots,
        made=[*_made(card), ("card made by", command)],
        near_chance=NEAR_CHANCE,
        about=_about,
        largest=_largest,
        source=lambda clip: audio_source(clip.audio, page, card.settings.embed),
    )


def _facts(card: Card) -> dict[str, str]:
    clips, speakers = (
        sum(getattr(split, name) for split in card.splits.values())
        for name in ("clips", "speakers")
    )
    hours = sum(split.hours for split in card.splits.values())
    facts = {
        "clips": f"{clips:,}",
        "hours": f"{hours:.2f}",
        "speakers": f"{speakers:,}" if speakers else "not named",
    }
    if "seed" in card.description:
        facts["seed"] = str(card.description["seed"])
    if kept := [ceiling.met for ceiling in card.ceilings if ceiling.met is not None]:
        facts["shortcut limits met"] = f"{sum(kept)} of {len(kept)}"
    return facts


def _made(card: Card) -> Iterator[tuple[str, Any]]:
    """What `corpus.json` says of how the corpus was made."""
    for name, value in card.description.items():
        if name != "spec":
            yield name.replace("_", " "), value
    for name, value in (card.description.get("spec") or {}).items():
        yield f"spec: {name.replace('_', ' ')}", value


def _largest(field: FieldCounts, split: str) -> int:
    """Of the field's classes in a split; at least 1, as it is divided by."""
    return max([1, *(counts[split] for counts in field.counts.values())])


def _about(clip: Utterance, field: str) -> str:
    """What else is known of a clip that is played for its label `field`."""
    labels = {
        name: value
        for name, value in clip.labels.items()
        if name != field and name not in _NOT_TOLD
    }
    told = [f"{name.replace('_', ' ')} {shown(value)}" for name, value in labels.items()
            if isinstance(value, str | int | float)]  # fmt: skip
    return " · ".join([*([clip.speaker] if clip.speaker else []), *told])
