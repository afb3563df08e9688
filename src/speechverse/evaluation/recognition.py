"""How well a CTC head transcribes, by kind of clip: error rates with intervals, for the terminal
and for cards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE
from rich.table import Table

from speechverse.audio import load
from speechverse.encoders.ctc import CtcRecogniser
from speechverse.metrics import Interval, bootstrap
from speechverse.types import Utterance

COLUMNS = ("kind", "noise added", "clips", "WER", "CER")
"""Heads of `Recognition.cells`."""

_CLIPS_AT_ONCE = 256


@dataclass(frozen=True)
class Recognition:
    """How well one kind of clip was transcribed, greedily; both sides normalised as the `asr`
    task's are.

    Attributes:
        stratum: The kind (grammar sentences, names, ...); "all" where clips name none.
        noisy: Whether noise was added to the clips.
        num_clips: How many.
        wer: Word error rate with its interval.
        cer: Character error rate with its interval.
    """

    stratum: str
    noisy: bool
    num_clips: int
    wer: Interval
    cer: Interval

    @property
    def cells(self) -> tuple[str, ...]:
        """A row of a table under `COLUMNS`."""
        return (
            self.stratum,
            "yes" if self.noisy else "no",
            str(self.num_clips),
            *(
                f"{rate.value:.3f} ({rate.low:.3f}–{rate.high:.3f})"
                for rate in (self.wer, self.cer)
            ),
        )


def recognition(
    recogniser: CtcRecogniser,
    utterances: Sequence[Utterance],
    done: Callable[[int], None] = lambda clips: None,
) -> list[Recognition]:
    """Error rates of each stratum, noisy and not noisy apart; clips without words are left out.

    Args:
        recogniser: On the device to compute on.
        utterances: Clips with or without `text`, of any strata.
        done: Told of every batch's clips.

    Raises:
        AudioError: If a clip cannot be read, or the encoder cannot take it.
    """
    kinds: dict[tuple[str, bool], list[tuple[str, str, str | None]]] = {}
    spoken = [utterance for utterance in utterances if utterance.text]
    for start in range(0, len(spoken), _CLIPS_AT_ONCE):
        some = spoken[start : start + _CLIPS_AT_ONCE]
        heard = recogniser.transcribe([load(utterance.audio).samples for utterance in some])
        for utterance, text in zip(some, heard, strict=True):
            kind = (
                str(utterance.labels.get("stratum", "all")),
                bool(utterance.labels.get("noise")),
            )
            kinds.setdefault(kind, []).append((text, utterance.text or "", utterance.language))
        done(len(some))
    return [_recognition(*kind, *zip(*pairs, strict=True)) for kind, pairs in sorted(kinds.items())]


def recognition_table(encoder: str, heard: Sequence[tuple[str, Sequence[Recognition]]]) -> Table:
    """A rich table of what one encoder's head made of each corpus (name and kinds),
    corpora apart.
    """
    table = Table(title=f"what the CTC head of {encoder} hears, greedily", box=SIMPLE)
    for column in COLUMNS:
        table.add_column(
            _broken(column), justify="right" if column == "clips" else "left", no_wrap=True
        )
    for corpus, kinds in heard:
        table.add_section()
        table.add_row(corpus, style="bold")
        for kind in kinds:
            table.add_row(*map(_broken, kind.cells))
    return table


def _broken(cell: str) -> str:
    # An interval stands under its value: side by side they are too wide for eighty columns.
    return cell.replace(" ", "\n")


def _recognition(
    stratum: str,
    noisy: bool,
    heard: Sequence[str],
    true: Sequence[str],
    languages: Sequence[str | None],
) -> Recognition:
    wer, cer = (bootstrap(metric, heard, true, languages=languages) for metric in ("wer", "cer"))
    return Recognition(stratum, noisy, len(true), wer, cer)
