"""Which clips can be played for each class, and where their sound lies for the page."""

from __future__ import annotations

import base64
import io
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import soundfile

from speechverse.audio import load
from speechverse.corpora.counts import Field
from speechverse.seeding import rng_for
from speechverse.types import AudioRef, Utterance

Samples = dict[str, dict[str, list[Utterance]]]
"""Field → class → clips."""


def choose_samples(
    fields: Sequence[Field], utterances: Sequence[Utterance], num_samples: int, seed: int
) -> Samples:
    """Draws clips for every class of the fields, of other speakers each where there are such."""
    samples: Samples = {}
    for field in fields:
        shuffled = rng_for(seed, "samples", field.name).sample(utterances, len(utterances))
        by_class: dict[str, list[Utterance]] = {}
        for utterance in shuffled:
            for name in field.classes(utterance):
                by_class.setdefault(name, []).append(utterance)
        samples[field.name] = {
            name: _new_speakers_first(clips)[:num_samples] for name, clips in by_class.items()
        }
    return samples


def _new_speakers_first(clips: Sequence[Utterance]) -> list[Utterance]:
    """Every speaker's first clip, then every one's second, and so on."""
    turns: Counter[str] = Counter()
    ranks = {}
    for clip in clips:
        speakers = clip.speakers
        ranks[clip.id] = max((turns[speaker] for speaker in speakers), default=0)
        turns.update(speakers)
    return sorted(clips, key=lambda clip: ranks[clip.id])


def audio_source(ref: AudioRef, page: Path, embed: bool) -> str:
    """What an audio element of the page plays: the clip itself, or a link relative to the page."""
    if embed:
        waveform, file = load(ref), io.BytesIO()
        soundfile.write(file, waveform.samples, waveform.sampling_rate, format="FLAC")
        return "data:audio/flac;base64," + base64.b64encode(file.getvalue()).decode("ascii")
    link = quote(Path(os.path.relpath(ref.path, page.parent)).as_posix())
    if ref.start == 0 and ref.duration is None:
        return link
    # A media fragment: the browser plays this stretch alone.
    end = "" if ref.duration is None else f",{ref.start + ref.duration:.3f}"
    return f"{link}#t={ref.start:.3f}{end}"
