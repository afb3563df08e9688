"""How well a CTC head transcribes, by kind of clip: error rates with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from speechverse.audio import load
from speechverse.batching import in_batches
from speechverse.encoders.ctc import CtcRecogniser
from speechverse.evaluation.results import noise_of
from speechverse.metrics import Interval, bootstrap
from speechverse.progress import Advance, ignore
from speechverse.types import Utterance

_CLIPS_AT_ONCE = 256


@dataclass(frozen=True)
class Recognition:
    """How well one kind of clip was transcribed, greedily; both sides normalised as the `asr`
    task's are.

    Attributes:
        stratum: The kind (grammar sentences, names, ...); "all" where clips name none.
        noisy: Whether noise was added to the clips.
    """

    stratum: str
    noisy: bool
    num_clips: int
    wer: Interval
    cer: Interval


def recognition(
    recogniser: CtcRecogniser, utterances: Sequence[Utterance], progress: Advance = ignore
) -> list[Recognition]:
    """Error rates of each stratum, noisy and not noisy apart; clips without words are left out.

    Raises:
        AudioError: If a clip cannot be read, or the encoder cannot take it.
    """
    kinds: dict[tuple[str, bool], list[tuple[str, str, str | None]]] = {}
    spoken = [utterance for utterance in utterances if utterance.text]
    for some in in_batches(spoken, _CLIPS_AT_ONCE):
        texts = recogniser.transcribe([load(clip.audio).samples for clip in some])
        for clip, text in zip(some, texts, strict=True):
            noisy = noise_of(clip.labels.get("noise")) == "added"
            kind = str(clip.labels.get("stratum", "all")), noisy
            kinds.setdefault(kind, []).append((text, clip.text or "", clip.language))
        progress(len(some))
    found = []
    for kind, rows in sorted(kinds.items()):
        said, true, languages = zip(*rows, strict=True)
        wer, cer = (bootstrap(m, said, true, languages=languages) for m in ("wer", "cer"))
        found.append(Recognition(*kind, len(rows), wer, cer))
    return found


def recognition_table(encoder: str, found: Sequence[tuple[str, Sequence[Recognition]]]) -> Table:
    """A rich table of what one encoder's head made of each corpus (name and kinds)."""
    title = f"what the CTC head of {encoder} writes, greedily"
    table = Table(title=escape(title), box=SIMPLE)
    for column in ("kind", "noise\nadded", "clips", "WER", "CER"):
        table.add_column(column, justify="right" if column == "clips" else "left", no_wrap=True)
    for corpus, kinds in found:
        table.add_section()
        table.add_row(Text(corpus), style="bold")
        for kind in kinds:
            noise = "yes" if kind.noisy else "no"
            rates = map(_cell, (kind.wer, kind.cer))
            table.add_row(Text(kind.stratum), noise, str(kind.num_clips), *rates)
    return table


def _cell(rate: Interval) -> str:
    # An interval stands under its value: side by side they are too wide for eighty columns.
    return f"{rate.value:.3f}\n({rate.low:.3f}–{rate.high:.3f})"
