"""Makes a whole corpus folder, interruptible and repeatable: plan, shards, manifests."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from speechverse.errors import CorpusError
from speechverse.files import folder_lock, write_text
from speechverse.progress import Advance, ignore
from speechverse.types import SAMPLING_RATE, AudioRef, Seconds, Utterance
from speechverse.world.accents import ACCENTS
from speechverse.world.clip import Clip
from speechverse.world.language import Part, inventory
from speechverse.world.plan import plan_split
from speechverse.world.spec import SynthSpec
from speechverse.world.styles import EMOTIONS, SENTIMENTS
from speechverse.world.workers import Shard, cut_into_shards, run_shards

SHARD_SIZE = 150
"""Clips a shard; part of what makes the bytes."""

_BYTES_PER_CLIP = 80_000  # FLAC, measured, with room to spare
_BYTES_PER_CHARACTER = 1_500  # of long texts, spoken slowly
_SPEC = "synth.json"


@dataclass(frozen=True, slots=True)
class Source:
    """What a corpus is made from: the spoken world, or somebody's own lines."""

    name: str
    seed: int  # of everything drawn
    num_clips: int  # in all splits
    record: Mapping[str, Any]  # what decides the bytes; a folder begun with another is refused
    plan: Callable[[], Mapping[Part, Sequence[Clip]]]  # the clips of every split that has some
    labels: Mapping[str, Mapping[str, str]]  # the inventory: field → name → description
    about: Mapping[str, Any] = field(default_factory=dict)  # further entries of `corpus.json`
    shard_size: int | None = None  # clips a shard; `SHARD_SIZE` by default


@dataclass(frozen=True, slots=True)
class SynthReport:
    """What a run of `synthesize_corpus` did."""

    folder: Path
    num_clips: int  # in all splits
    audio_seconds: Seconds  # in all splits
    num_reused: int  # clips that an earlier run had made
    made_seconds: Seconds  # audio made by this run
    wall_seconds: Seconds  # how long this run took

    @property
    def speed(self) -> float:
        """Seconds of audio made a second."""
        return self.made_seconds / max(self.wall_seconds, 1e-6)


def synthesize_corpus(
    folder: str | Path,
    spec: SynthSpec | Source,
    num_workers: int | None = None,
    progress: Advance = ignore,
) -> SynthReport:
    """Makes a corpus, or the rest of one that was interrupted.

    Args:
        folder: Where; new, empty, or begun with the same spec.
        spec: The spoken world's, or lines of text (`read_lines`); it decides the bytes, whoever
            makes them.
        num_workers: Processes; all cores by default.
        progress: Told of the clips that an earlier run made, then of each one made.

    Raises:
        CorpusError: The folder holds something else, is in use by another run, or is too small a
            place.
        DiskFullError: There is no room for a clip.
        UserError: The synth extra is missing.
    """
    folder, started = Path(folder), time.monotonic()
    source = spec if isinstance(spec, Source) else _world(spec)
    with _claim(folder, source.record):
        size = source.shard_size or SHARD_SIZE
        shards = {
            part: cut_into_shards(clips, folder / "audio" / part, source.seed, size)
            for part, clips in source.plan().items()
        }
        every = [shard for some in shards.values() for shard in some]
        missing = [shard for shard in every if shard.lengths() is None]
        _check_room(missing, folder)
        num_reused = source.num_clips - sum(len(shard.clips) for shard in missing)
        progress(num_reused)
        made_seconds = _make(missing, num_workers, progress)
        audio_seconds = _write_manifests(folder, source, shards)
    wall_seconds = time.monotonic() - started
    return SynthReport(
        folder, source.num_clips, audio_seconds, num_reused, made_seconds, wall_seconds
    )


def _world(spec: SynthSpec) -> Source:
    return Source(
        spec.name,
        spec.seed,
        sum(spec.sizes.values()),
        spec.as_dict(),
        lambda: {part: plan_split(spec, part) for part, size in spec.sizes.items() if size},
        label_inventory(spec.is_held_out),
    )


def label_inventory(held_out: bool = False) -> dict[str, dict[str, str]]:
    """Every label of the spoken world: field → name → description; with `held_out` all."""
    return {**inventory(held_out), "emotion": EMOTIONS, "sentiment": SENTIMENTS, "accent": ACCENTS}


def _check_room(shards: Sequence[Shard], folder: Path) -> None:
    texts = [clip.text for shard in shards for clip in shard.clips]
    needed = sum(max(_BYTES_PER_CLIP, len(text) * _BYTES_PER_CHARACTER) for text in texts)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise CorpusError(
            f"'{folder}' lies on a disk with {free / 1e6:.0f} MB free; {len(texts)} clips need"
            f" about {needed / 1e6:.0f} MB: free some space, or ask for fewer"
        )


def _make(shards: Sequence[Shard], num_workers: int | None, progress: Advance) -> Seconds:
    """Makes the shards, and gives the seconds of audio made."""
    made = 0.0

    def count(_clip_id: str, seconds: Seconds) -> None:
        nonlocal made
        made += seconds
        progress(1)

    run_shards(shards, num_workers or os.cpu_count() or 1, count)
    return made


def _write_manifests(
    folder: Path, source: Source, shards: Mapping[Part, Sequence[Shard]]
) -> Seconds:
    # lhotse: the workers, which import this package too, can do without
    from speechverse.data import write_corpus

    splits = {
        str(part): [utterance for shard in some for utterance in _utterances(shard)]
        for part, some in shards.items()
    }
    extra = {"seed": source.seed, "synthetic": True, "spec": source.record, **source.about}
    write_corpus(folder, source.name, splits, source.labels, extra)
    return sum(utterance.duration for split in splits.values() for utterance in split)


def _utterances(shard: Shard) -> Iterator[Utterance]:
    lengths = shard.lengths() or {}
    for clip in shard.clips:
        audio, seconds = shard.folder / f"{clip.id}.flac", lengths[clip.id] / SAMPLING_RATE
        said = (clip.text, clip.speaker, clip.language, clip.labels)
        yield Utterance(clip.id, AudioRef(audio), seconds, *said)


@contextmanager
def _claim(folder: Path, record: Mapping[str, Any]) -> Iterator[None]:
    """Holds the folder for one run, after a look at what is in it."""
    wanted = {"format": 1, **json.loads(json.dumps(record))}
    try:
        _check_folder(folder, wanted)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CorpusError(f"cannot make a corpus in '{folder}': {error.strerror}") from error
    with folder_lock(folder, "making", CorpusError):
        write_text(folder / _SPEC, json.dumps(wanted, indent=1))
        yield


def _check_folder(folder: Path, wanted: Mapping[str, Any]) -> None:
    if folder.exists() and not folder.is_dir():
        raise CorpusError(f"'{folder}' is a file: name a folder for the corpus")
    held = {path.name for path in folder.iterdir()} - {".lock"} if folder.exists() else set()
    if not held:
        return
    if _SPEC not in held:
        raise CorpusError(
            f"'{folder}' holds other things already ({', '.join(sorted(held)[:3])}): name a new"
            " folder"
        )
    try:
        found = dict(json.loads((folder / _SPEC).read_text(encoding="utf-8")))
    except (ValueError, TypeError):
        raise CorpusError(
            f"'{folder / _SPEC}' is damaged, so nobody can say what '{folder}' was to be: "
            "name a new folder or remove this one"
        ) from None
    keys = {**wanted, **found}  # what is said on one side alone, such as the engine, differs too
    other = [
        f"{key} {found.get(key)} there, {wanted.get(key)} now"
        for key in keys
        if found.get(key) != wanted.get(key)
    ]
    if other:
        raise CorpusError(
            f"'{folder}' was created with different settings ({'; '.join(other)}): name a new"
            " folder or remove this one"
        )
