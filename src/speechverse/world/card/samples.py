"""Which clips can be played for each class, and where their sound lies for the page."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from speechverse.audio import load
from speechverse.evaluation.folds import speakers_of
from speechverse.seeding import rng_for
from speechverse.types import AudioRef, Utterance
from speechverse.world.card.fields import Field

Samples = dict[str, dict[str, list[Utterance]]]
"""Field → class → clips."""


def choose_samples(
    fields: Sequence[Field], splits: Mapping[str, Sequence[Utterance]], num_samples: int, seed: int
) -> Samples:
    """Draws clips for every class of the fields, of other speakers each where there are such."""
    everyone = [utterance for utterances in splits.values() for utterance in utterances]
    return {
        field.name: _of_field(
            field, rng_for(seed, "samples", field.name).sample(everyone, len(everyone)), num_samples
        )
        for field in fields
    }


def _of_field(
    field: Field, shuffled: Sequence[Utterance], num_samples: int
) -> dict[str, list[Utterance]]:
    chosen: dict[str, list[Utterance]] = {}
    voices: dict[str, set[str]] = {}
    for only_new_voices in (True, False):
        for utterance in shuffled:
            speakers = set(speakers_of(utterance))
            for name in field.classes(utterance):
                clips, heard = chosen.setdefault(name, []), voices.setdefault(name, set())
                if (
                    len(clips) >= num_samples
                    or (only_new_voices and heard & speakers)
                    or utterance in clips
                ):
                    continue
                clips.append(utterance)
                heard |= speakers
    return chosen


def audio_source(ref: AudioRef, page: Path, embed: bool) -> str:
    """What an audio element of the page plays: the clip itself, or a link to it relative to the
    page.
    """
    if embed:
        return "data:audio/flac;base64," + base64.b64encode(_as_flac(ref)).decode("ascii")
    link = quote(Path(os.path.relpath(ref.path, page.parent)).as_posix())
    if ref.start == 0 and ref.duration is None:
        return link
    end = "" if ref.duration is None else f",{ref.start + ref.duration:.3f}"
    return f"{link}#t={ref.start:.3f}{end}"


def _as_flac(ref: AudioRef) -> bytes:
    import soundfile

    waveform, file = load(ref), io.BytesIO()
    soundfile.write(file, waveform.samples, waveform.sampling_rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()
