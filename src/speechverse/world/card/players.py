"""Clips to play, class by class: do they sound like what they are called?"""

from __future__ import annotations

from html import escape
from pathlib import Path

from speechverse.evaluation.report.document import details, framed, section
from speechverse.types import Utterance
from speechverse.world.card.card import Card
from speechverse.world.card.fields import shown
from speechverse.world.card.samples import audio_source

_NOT_TOLD = ("keywords", "translations", "slots", "intent", "is_speech")


def samples_section(card: Card, page: Path) -> str:
    """Players for every class of every closed field; the first field is open."""
    blocks: list[str] = []
    for field in card.fields:
        classes = card.samples.get(field.name)
        if not classes:
            continue
        cards = "".join(
            framed(name, "".join(_player(clip, field.name, page, card.settings.embed) for clip in classes[name]))
            for name in field.counts
            if classes.get(name)
        )
        names = ", ".join(list(field.counts)[:6]) + (", …" if len(field.counts) > 6 else "")
        summary = f'{escape(field.name)} <span class="soft">{escape(names)}</span>'
        blocks.append(details(summary, f'<div class="cards narrow">{cards}</div>', is_open=not blocks))
    note = "Do the clips sound like what they are called? Drawn by chance, of other speakers where there are such."
    return section("Listen", "".join(blocks), note) if blocks else ""


def _player(clip: Utterance, field: str, page: Path, embed: bool) -> str:
    told = [clip.speaker] if clip.speaker else []
    told += [
        f"{name.replace('_', ' ')} {shown(value)}"
        for name, value in clip.labels.items()
        if name != field and name not in _NOT_TOLD and isinstance(value, str | int | float)
    ]
    text = escape(clip.text) if clip.text else '<span class="soft">(no words)</span>'
    source = escape(audio_source(clip.audio, page, embed), quote=True)
    return (
        f'<figure title="{escape(clip.id, quote=True)}"><audio controls preload="none" src="{source}"></audio>'
        f'<figcaption>{text}<span class="soft">{escape(" · ".join(told))}</span></figcaption></figure>'
    )
