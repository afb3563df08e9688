"""What reads one public corpus, or one foreign format, and the registry of all that there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from speechverse.errors import CorpusError
from speechverse.registry import Registry

Clip = dict[str, Any]
"""One clip with the keys of a JSONL line (docs/data.md) and an id."""


@dataclass
class Reading:
    """A corpus that is being read.

    Attributes:
        source: Where the user unpacked it.
        output: The folder that is written; sound that lies in no file of its own goes below it.
        left_out: What the reader did not take, by reason.
        missed: Clips that were told of, but have no sound.
    """

    source: Path
    output: Path
    left_out: Counter[str] = field(default_factory=Counter)
    missed: int = 0

    def miss(self, count: int) -> None:
        """Counts clips that a library passed over, as their sound is not there."""
        if count > 0:
            self.left_out["without sound"] += count
            self.missed += count

    def find(self, *names: str) -> Path:
        """The first of these paths below the source that is there.

        Raises:
            CorpusError: If none is.
        """
        for name in names:
            if (found := self.source / name).exists():
                return found
        raise CorpusError(
            f"'{self.source}' has no {' or '.join(names)}: name the folder that holds it"
        )


@dataclass(frozen=True)
class CorpusReader:
    """How one corpus becomes clips.

    Attributes:
        name: What `speechverse prepare` calls it.
        source: What its folder holds, as it is downloaded.
        home: Where to get it, and its licence.
        read: Gives the split and the clip, one after the other.
        choices: What was decided that the corpus leaves open, a sentence each.
        descriptions: Of label names, by field.
    """

    name: str
    source: str
    home: str
    read: Callable[[Reading], Iterable[tuple[str, Clip]]]
    choices: tuple[str, ...] = ()
    descriptions: Callable[[], Mapping[str, Mapping[str, str]]] = dict


def clips_of(recordings: Iterable[Any], supervisions: Iterable[Any]) -> Iterator[Clip]:
    """What lhotse's supervisions tell of its recordings; of their own labels the caller picks."""
    known = {recording.id: recording for recording in recordings}
    for told in supervisions:
        recording = known[told.recording_id]
        whole = told.start == 0 and abs(told.duration - recording.duration) < 1e-3
        part = {} if whole else {"start": told.start, "duration": told.duration}
        yield {
            "id": str(told.id),
            "audio": recording.sources[0].source,
            **part,
            "text": told.text,
            "speaker": told.speaker,
            "language": told.language,
        }


def _places(**modules: str) -> dict[str, str]:
    """Where each name's reader stands: in a module, under its name in capitals."""
    return {
        name: f"speechverse.corpora.{module}:{name.upper()}"
        for module, names in modules.items()
        for name in names.split()
    }


CORPORA: Registry[CorpusReader] = Registry(
    "corpus",
    _places(
        by_lhotse="librispeech voxpopuli fleurs musan",
        common_voice="common_voice covost2",
        slurp="slurp slurp_unseen slurp_all fluent_speech_commands",
        europarl_st="europarl_st",
        msp_podcast="msp_podcast",
        fisher="fisher",
        formats="csv kaldi cuts shar huggingface",
    ),
    lambda value: isinstance(value, CorpusReader),
    error=CorpusError,
)
