"""The page of a check: what was found, and the clips to listen to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from speechverse.corpora.check import Check
from speechverse.corpora.counts import find_fields
from speechverse.corpora.samples import audio_source, choose_samples
from speechverse.data import Corpus
from speechverse.evaluation.report.plots import histogram_plot
from speechverse.evaluation.report.render import render_page
from speechverse.files import write_text
from speechverse.types import Utterance

SHOWN = 12
"""Clips played of each finding; all are named in `--json`."""
PER_LABEL = 2


def write_page(check: Check, corpora: Sequence[Corpus], page: Path, embed: bool) -> Path:
    """Writes the page of a check.

    Args:
        corpora: What was checked; clips of every closed label are played.
        embed: Whether the page holds the sound itself.
    """
    page = page.absolute()
    page.parent.mkdir(parents=True, exist_ok=True)
    everyone = [
        clip for corpus in corpora for split in corpus.splits for clip in corpus.utterances(split)
    ]
    bad = check.unreadable
    readable = [clip for clip in everyone if not any(one.id in bad for one in clip.clips)]
    few = {one.name for one in check.fields if one.closed}
    closed = [one for one in find_fields(readable) if one.name in few]
    plots = [("Duration", histogram_plot("seconds", check.durations, "durations of clips"))]
    if check.levels:
        plots.append(("Level", histogram_plot("dBFS", check.levels, "levels of clips")))

    def source(clip: Utterance) -> str:
        return audio_source(clip.audio, page, embed)

    content = render_page(
        "check.html",
        __package__,
        title=f"{check.name}: check",
        kind="speechverse check",
        heading=check.name,
        lead=f"fit to be used: {check.praise}"
        if not check.faults
        else "not fit to be used as it is",
        facts={
            "clips": f"{sum(split.clips for split in check.splits.values()):,}",
            "hours": f"{sum(split.hours for split in check.splits.values()):.2f}",
            "listened to": f"{check.listened:,}",
        },
        check=check,
        plots=plots,
        findings={
            **check.findings,
            "exactly like another": [clip for group in check.duplicates for clip in group],
        },
        samples=choose_samples(closed, readable, PER_LABEL, seed=0),
        shown=SHOWN,
        source=source,
    )
    write_text(page, content)
    return page
