"""The page: what the corpus is, its faults first, then counts, spreads, ceilings and clips to play."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from speechverse.evaluation.report.plots import histogram_plot
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
    from jinja2 import Environment

    plots = [("Duration", "all clips", histogram_plot("seconds", card.durations, "durations of clips"))]
    if card.levels:
        plot = histogram_plot("dBFS", card.levels, "levels of clips")
        plots.append(("Level", "of the sounding parts of the clips listened to", plot))
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
        files(__package__).joinpath("card.html").read_text(encoding="utf-8")
    )
    return template.render(
        card=card,
        command=command,
        css=files("speechverse.evaluation.report").joinpath("report.css").read_text(encoding="utf-8"),
        plots=plots,
        near_chance=NEAR_CHANCE,
        about=_about,
        largest=_largest,
        source=lambda clip: audio_source(clip.audio, page, card.settings.embed),
    )


def _largest(field: FieldCounts, split: str) -> int:
    """Of the field's classes in a split; at least 1, as it is divided by."""
    return max([1, *(counts[split] for counts in field.counts.values())])


def _about(clip: Utterance, field: str) -> str:
    """What else is known of a clip that is played for its label `field`."""
    labels = {name: value for name, value in clip.labels.items() if name != field and name not in _NOT_TOLD}
    told = [f"{name.replace('_', ' ')} {shown(value)}" for name, value in labels.items()
            if isinstance(value, str | int | float)]  # fmt: skip
    return " · ".join([*([clip.speaker] if clip.speaker else []), *told])
