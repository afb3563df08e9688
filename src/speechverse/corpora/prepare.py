"""A public corpus, or data in another format, written as a corpus folder; no audio is copied."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speechverse.corpora.keywords import Keywords
from speechverse.corpora.reader import Clip, CorpusReader, Reading
from speechverse.data import Corpus, collect_labels, write_corpus
from speechverse.data.corpus import DESCRIPTION
from speechverse.data.jsonl import NoSuchPartError, to_utterance
from speechverse.errors import AudioError, CorpusError, SpeechverseError
from speechverse.files import folder_lock
from speechverse.progress import Watch, watch_nothing
from speechverse.tally import MAX_BAD_SHARE, leave_out, max_bad_clips, refuse_too_many
from speechverse.types import Utterance


@dataclass(frozen=True)
class Prepared:
    """What was written.

    Attributes:
        corpus: The corpus, opened.
        left_out: What the reader did not take, by reason.
        bad: Clips whose sound is missing, shorter than their part or cannot be read, id to reason.
    """

    corpus: Corpus
    left_out: Mapping[str, int]
    bad: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        about = self.corpus.description
        counts = {"left_out": dict(self.left_out), "bad": dict(self.bad)}
        return {"corpus": self.corpus.name, "splits": about["splits"], **counts}


def prepare(
    reader: CorpusReader,
    source: Path,
    output: Path,
    keywords: Keywords | None = None,
    watch: Watch = watch_nothing,
) -> Prepared:
    """Reads a corpus as it was downloaded, and writes it as a corpus folder.

    Args:
        keywords: Labels every text that has no keywords with some.

    Raises:
        CorpusError: If it is laid out otherwise, a clip is wrong, too many cannot be used, or the
            output holds something else.
        UserError: If another run writes there.
    """
    if not source.exists():
        raise CorpusError(f"'{source}' does not exist: {reader.name} wants {reader.source}")
    with folder_lock(output, "preparing a corpus in"):
        if source.absolute() == output.absolute() or not _is_free(output, reader, source):
            raise CorpusError(
                f"'{output}' holds data that would be written over: name another folder"
            )
        return _prepare(reader, source, output, keywords, watch)


def _is_free(output: Path, reader: CorpusReader, source: Path) -> bool:
    """Whether nothing is lost by writing there: at most what the same command wrote before."""
    if not (output / DESCRIPTION).exists():
        return not any(output.glob("*.jsonl.gz"))
    about = Corpus.open(output).description
    return (about["name"], about.get("source")) == (reader.name, str(source))


def _prepare(
    reader: CorpusReader, source: Path, output: Path, keywords: Keywords | None, watch: Watch
) -> Prepared:
    reading = Reading(source.absolute(), output.absolute())
    clips = _clips(reader, reading)
    splits, bad = _utterances(clips, reading, watch)
    if reading.missed > max_bad_clips(MAX_BAD_SHARE, told := len(clips) + reading.missed):
        raise CorpusError(
            f"'{source}': {reading.missed:,} of {told:,} clips are without sound; more than"
            f" {MAX_BAD_SHARE:.0%} are refused: unpack or download it again"
        )
    refuse_too_many(bad, len(clips), MAX_BAD_SHARE, f"'{source}'")
    leave_out(bad, len(clips), f"'{source}'")
    if keywords is not None:
        splits = keywords.label(splits, output / "keywords.jsonl", watch)
    found = collect_labels(clip for split in splits.values() for clip in split)
    known = reader.descriptions()
    labels = {
        field: {name: known.get(field, {}).get(name, "") for name in label_set.descriptions}
        for field, label_set in found.items()
    }
    about = {
        "source": str(source),
        "home": reader.home,
        "choices": list(reader.choices),
        "left_out": dict(reading.left_out),
        **({"keywords": keywords.model} if keywords else {}),
    }
    corpus = write_corpus(output, reader.name, splits, labels, about)
    return Prepared(corpus, dict(reading.left_out), bad)


def _clips(reader: CorpusReader, reading: Reading) -> list[tuple[str, Clip]]:
    wanted = f"{reader.name} wants {reader.source}"
    try:
        with contextlib.redirect_stdout(sys.stderr):  # libraries' readers talk
            clips = list(reader.read(reading))
    except SpeechverseError:
        raise
    except Exception as error:  # lhotse raises what it happens to meet, assertions too
        raise CorpusError(
            f"'{reading.source}' cannot be read ({type(error).__name__}: {error}); {wanted}"
        ) from error
    if not clips:
        raise CorpusError(f"'{reading.source}' holds no clip; {wanted}")
    names = {split: re.sub(r"[^a-z0-9_-]+", "-", split.lower()) for split, _ in clips}
    if len(set(names.values())) < len(names):
        raise CorpusError(
            f"'{reading.source}' has splits whose names hardly differ: {', '.join(sorted(names))};"
            " rename them"
        )
    return [(names[split], clip) for split, clip in clips]


def _utterances(
    clips: list[tuple[str, Clip]], reading: Reading, watch: Watch
) -> tuple[dict[str, list[Utterance]], dict[str, str]]:
    splits: dict[str, list[Utterance]] = {}
    bad: dict[str, str] = {}
    advance = watch("reading headers", len(clips))
    for split, clip in clips:
        name = str(clip["id"])
        path = reading.source / clip["audio"]
        try:
            if not path.is_file():
                raise AudioError(f"{path} is missing")
            splits.setdefault(split, []).append(to_utterance(name, clip, path, {}))
        except (AudioError, NoSuchPartError) as error:
            bad[name] = str(error)
        except ValueError as error:
            raise CorpusError(f"'{reading.source}', clip '{name}': {error}") from error
        advance(1)
    return splits, bad
