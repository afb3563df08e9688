"""Utterances as lhotse cuts, and the files they lie in."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import warnings
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lhotse import AudioSource, MonoCut, Recording, SupervisionSegment
from lhotse.serialization import deserialize_item

from speechverse.audio import extent_of
from speechverse.data.labels import normalise_labels
from speechverse.data.lines import parse_object
from speechverse.errors import CorpusError
from speechverse.files import atomic_write, read_text
from speechverse.types import AudioRef, Origin, Utterance


def to_cut(utterance: Utterance, folder: Path) -> MonoCut:
    """A lhotse cut with one supervision; audio inside `folder` is named relative to it.

    Raises:
        CorpusError: If it has several clips.
    """
    if utterance.beside:
        raise CorpusError(
            f"{utterance.place}: a corpus folder holds one clip a line; leave lines with several"
            " clips in a JSONL file, which recipes take as well"
        )
    path = Path(utterance.audio.path).absolute()
    source = path.relative_to(folder) if path.is_relative_to(folder) else path
    num_samples, rate = extent_of(path)
    recording = Recording(
        id=utterance.id,
        sources=[AudioSource(type="file", channels=[0], source=str(source))],
        sampling_rate=rate,
        num_samples=num_samples,
        duration=num_samples / rate,
    )
    part = utterance.audio.duration is not None or utterance.audio.start > 0
    duration = utterance.duration if part else recording.duration
    supervision = SupervisionSegment(
        id=utterance.id,
        recording_id=utterance.id,
        start=0.0,
        duration=duration,
        text=utterance.text,
        speaker=utterance.speaker,
        language=utterance.language,
        custom=dict(utterance.labels),
    )
    return MonoCut(
        id=utterance.id,
        start=utterance.audio.start,
        duration=duration,
        channel=0,
        supervisions=[supervision],
        recording=recording,
    )


def from_cut(cut: Any, folder: Path, origin: Origin | None = None) -> Utterance:
    """The utterance of a lhotse cut with at most one supervision.

    Raises:
        ValueError: If it is no unchanged stretch of one mono file, or a label is wrong.
    """
    if not isinstance(cut, MonoCut) or cut.recording is None or len(cut.supervisions) > 1:
        raise ValueError(
            f"'{getattr(cut, 'id', '?')}': expected a MonoCut with a recording and at most one"
            " supervision"
        )
    if not (cut.start >= 0 and cut.duration > 0):
        raise ValueError(
            f"cut '{cut.id}' starts at {cut.start} s and is {cut.duration} s long; that is no"
            " stretch of audio"
        )
    source = _only_source(cut)
    whole = cut.start == 0 and abs(cut.duration - cut.recording.duration) < 1e-4
    told = cut.supervisions[0] if cut.supervisions else SupervisionSegment("", "", 0, 0)
    return Utterance(
        id=cut.id,
        audio=AudioRef(folder / source.source, cut.start, None if whole else cut.duration),
        duration=cut.duration,
        text=told.text,
        speaker=told.speaker,
        language=told.language,
        labels=normalise_labels(told.custom or {}),
        origin=origin,
    )


def _only_source(cut: MonoCut) -> AudioSource:
    """The one file of a cut; an `AudioRef` names no channel and no change to the sound."""
    recording = cut.recording
    assert recording is not None  # `from_cut` has seen to it
    refused = {
        f"recording has {len(recording.sources)} sources": len(recording.sources) != 1,
        f"audio is of type '{recording.sources[0].type}'": recording.sources[0].type != "file",
        f"recording has {recording.num_channels} channels, cut from channel {cut.channel}": (
            recording.num_channels != 1
        ),
        "recording has transforms, which would not be applied": bool(recording.transforms),
    }
    for reason, holds in refused.items():
        if holds:
            raise ValueError(
                f"the {reason} (cut '{cut.id}'); only unchanged mono audio in one file is read: "
                "write such files with lhotse's CutSet.save_audios and use the cuts that it returns"
            )
    return recording.sources[0]


def write_manifest(path: Path, utterances: Iterable[Utterance], folder: Path) -> dict[str, Any]:
    """Writes one split as gzipped cuts; the same utterances give the same bytes.

    Returns:
        What `corpus.json` says of the split; the hash is over the uncompressed manifest.
    """
    digest, count, seconds = hashlib.sha256(), 0, 0.0
    with (
        atomic_write(path) as aside,
        aside.open("wb") as raw,
        gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as out,
    ):
        for utterance in utterances:
            cut = to_cut(utterance, folder)
            line = (json.dumps(cut.to_dict(), ensure_ascii=False) + "\n").encode()
            digest.update(line)
            out.write(line)
            count, seconds = count + 1, seconds + cut.duration
    hours = round(seconds / 3600, 4)
    return {"num_utterances": count, "hours": hours, "manifest_sha256": digest.hexdigest()}


def read_manifest(
    path: Path, folder: Path, sha256: str | None = None, *, missing_too: bool = False
) -> Iterator[Utterance]:
    """Reads a manifest, gzipped or plain, whose audio paths are relative to a folder.

    Args:
        missing_too: Whether utterances whose audio is missing are read, not refused.

    Raises:
        CorpusError: If the file is missing, broken or not of this hash (of the uncompressed
            manifest), or a line is no such cut, or its audio is missing.
    """
    digest = hashlib.sha256()
    for number, line in _lines(path):
        digest.update(line)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                utterance = from_cut(
                    deserialize_item(parse_object(line)), folder, Origin(path, number)
                )
        except Exception as error:  # lhotse raises what it happens to meet, assertions too
            raise CorpusError(f"{path} line {number}: not a cut this can read: {error}") from error
        if not missing_too and not os.path.exists(utterance.audio.path):
            raise CorpusError(
                f"{path} line {number}: the audio file {utterance.audio.path} is missing"
            )
        yield utterance
    if sha256 is not None and digest.hexdigest() != sha256:
        raise CorpusError(
            f"{path} is not what its corpus.json says (hash {digest.hexdigest()[:12]}); write it"
            " anew"
        )


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    opener: Any = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as lines:
            yield from enumerate(lines, start=1)
    except FileNotFoundError:
        raise CorpusError(f"the manifest {path} is missing") from None
    except (OSError, EOFError, zlib.error) as error:
        raise CorpusError(f"the manifest {path} cannot be read: {error}") from error


def read_json(path: Path) -> Mapping[str, Any]:
    """A JSON object from a file.

    Raises:
        CorpusError: If it is missing or no JSON object.
    """
    try:
        content = json.loads(read_text(path))
    except FileNotFoundError:
        raise CorpusError(
            f"{path} is missing: {path.parent} is not a corpus folder, or was not finished"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise CorpusError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise CorpusError(f"{path} should hold one JSON object")
    return content
