"""Makes a whole corpus folder: plan, shards in worker processes, manifests; interruptible and repeatable."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speechverse.errors import CorpusError
from speechverse.files import only_run_in, write_text
from speechverse.synth.clip import Clip
from speechverse.synth.language import inventory
from speechverse.synth.plan import plan_split
from speechverse.synth.spec import SynthSpec
from speechverse.synth.styles import EMOTIONS, SENTIMENTS
from speechverse.synth.voices import ACCENTS, Part
from speechverse.synth.workers import Shard, cut_into_shards, run_shards
from speechverse.types import SAMPLING_RATE, AudioRef, Seconds, Utterance

SHARD_SIZE = 150
"""Clips a shard; part of what makes the bytes."""

_BYTES_PER_CLIP = 80_000  # FLAC, measured, with room to spare
_SPEC = "synth.json"

Progress = Callable[[int, int, Seconds], None]
"""Called with clips done, clips in all, seconds of audio made by this run."""


@dataclass(frozen=True, slots=True)
class SynthReport:
    """What a run of `synthesize_corpus` did.

    Attributes:
        folder: The corpus.
        num_clips: In all splits.
        audio_seconds: In all splits.
        num_reused: Clips that an earlier run had made.
        made_seconds: Audio made by this run.
        wall_seconds: How long this run took.
    """

    folder: Path
    num_clips: int
    audio_seconds: Seconds
    num_reused: int
    made_seconds: Seconds
    wall_seconds: Seconds

    @property
    def speed(self) -> float:
        """Seconds of audio made a second."""
        return self.made_seconds / max(self.wall_seconds, 1e-6)


def synthesize_corpus(
    folder: str | Path, spec: SynthSpec, num_workers: int | None = None, progress: Progress | None = None
) -> SynthReport:
    """Makes a corpus, or the rest of one that was interrupted.

    Args:
        folder: Where; new, empty, or begun with the same spec.
        spec: What to make. The same spec gives the same bytes for any number of workers.
        num_workers: Processes; all cores by default.
        progress: Told of every clip.

    Returns:
        What was made, and how fast.

    Raises:
        CorpusError: The folder holds something else, is in use by another run, or is too small a place.
        DiskFullError: There is no room for a clip.
        UserError: The synth extra is missing.
    """
    folder = Path(folder)
    started = time.monotonic()
    with _claimed(folder, spec):
        plans = {part: plan_split(spec, part) for part, size in spec.sizes.items() if size}
        shards = {
            part: cut_into_shards(clips, folder / "audio" / part, spec.seed, SHARD_SIZE)
            for part, clips in plans.items()
        }
        _clear_remains(folder)
        tally = _make_missing([shard for part in shards.values() for shard in part], folder, num_workers, progress)
        audio_seconds = _write(folder, spec, shards)
    return SynthReport(
        folder, sum(map(len, plans.values())), audio_seconds, tally.reused, tally.seconds, time.monotonic() - started
    )


class _Tally:
    """Counts clips for the progress display."""

    def __init__(self, total: int, reused: int, progress: Progress | None) -> None:
        self.total, self.reused, self.done, self.seconds, self.progress = total, reused, reused, 0.0, progress

    def add(self, _clip_id: str, seconds: Seconds) -> None:
        self.done, self.seconds = self.done + 1, self.seconds + seconds
        if self.progress is not None:
            self.progress(self.done, self.total, self.seconds)


def _make_missing(shards: Sequence[Shard], folder: Path, num_workers: int | None, progress: Progress | None) -> _Tally:
    missing = [shard for shard in shards if shard.lengths() is None]
    total, wanted = (sum(len(shard.clips) for shard in some) for some in (shards, missing))
    free = shutil.disk_usage(folder).free
    if wanted * _BYTES_PER_CLIP > free:
        raise CorpusError(
            f"'{folder}' lies on a disk with {free / 1e6:.0f} MB free; {wanted} clips need about "
            f"{wanted * _BYTES_PER_CLIP / 1e6:.0f} MB: free some space, or ask for fewer"
        )
    tally = _Tally(total, total - wanted, progress)
    for shard in missing:
        shutil.rmtree(shard.folder, ignore_errors=True)  # of another plan: an older version of this package
    run_shards(missing, num_workers or os.cpu_count() or 1, tally.add)
    return tally


def _clear_remains(folder: Path) -> None:
    """Removes what killed runs left half made."""
    for remains in folder.glob("audio/*/.*"):
        shutil.rmtree(remains, ignore_errors=True)


def _write(folder: Path, spec: SynthSpec, shards: Mapping[Part, Sequence[Shard]]) -> Seconds:
    from speechverse.data import write_corpus  # lhotse: the workers, which import this package too, can do without

    splits = {str(part): [u for shard in some for u in _utterances(shard)] for part, some in shards.items()}
    origin = {"seed": spec.seed, "synthetic": True, "spec": spec.as_dict()}
    write_corpus(folder, spec.name, splits, label_inventory(spec.is_held_out), origin)
    return sum(utterance.duration for split in splits.values() for utterance in split)


def _utterances(shard: Shard) -> Iterator[Utterance]:
    lengths = shard.lengths() or {}
    for clip in shard.clips:
        yield _utterance(clip, shard.folder / f"{clip.id}.flac", lengths[clip.id] / SAMPLING_RATE)


def _utterance(clip: Clip, path: Path, duration: Seconds) -> Utterance:
    language = None if clip.sound else "en"
    return Utterance(clip.id, AudioRef(path), duration, clip.text, clip.speaker, language, clip.labels)


def label_inventory(held_out: bool = False) -> dict[str, dict[str, str]]:
    """Every label of the spoken world: field → name → description.

    Args:
        held_out: Whether labels that only held-out sentences have are among them.
    """
    return {**inventory(held_out), "emotion": EMOTIONS, "sentiment": SENTIMENTS, "accent": ACCENTS}


@contextmanager
def _claimed(folder: Path, spec: SynthSpec) -> Iterator[None]:
    """Holds the folder for one run, after a look at what is in it."""
    wanted = {"format": 1, **json.loads(json.dumps(spec.as_dict()))}
    try:
        _check_folder(folder, wanted)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CorpusError(f"cannot make a corpus in '{folder}': {error.strerror}") from error
    with only_run_in(folder, "making", CorpusError):
        write_text(folder / _SPEC, json.dumps(wanted, indent=1))
        yield


def _check_folder(folder: Path, wanted: Mapping[str, Any]) -> None:
    if folder.exists() and not folder.is_dir():
        raise CorpusError(f"'{folder}' is a file: name a folder for the corpus")
    held = {path.name for path in folder.iterdir()} - {".lock"} if folder.exists() else set()
    if not held:
        return
    if _SPEC not in held:
        raise CorpusError(f"'{folder}' holds other things already ({', '.join(sorted(held)[:3])}): name a new folder")
    found = json.loads((folder / _SPEC).read_text())
    other = [f"{key} {found.get(key)} there, {value} now" for key, value in wanted.items() if found.get(key) != value]
    if other:
        raise CorpusError(f"'{folder}' was begun otherwise ({'; '.join(other)}): name a new folder or remove this one")
