"""The user's own audio to pre-train on: a folder of files, or a corpus whose texts can be used for CTC.

Everything is heard once, from end to end, before training: what cannot be read, is too short or silent is counted and
left out, what is long is cut into windows. `audio.json` in the run's folder keeps what was found.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from speechverse.data import Corpus
from speechverse.data.jsonl import allowed_bad
from speechverse.errors import CorpusError, UserError
from speechverse.files import write_text
from speechverse.foundations.features import over_processes
from speechverse.foundations.listening import SHORTEST, Heard, Window, listen
from speechverse.foundations.recipe import EncoderData
from speechverse.seeding import hash_seed
from speechverse.training.logs import Progress, say
from speechverse.types import AudioRef, Seconds, Utterance

SUFFIXES = frozenset(
    "wav wave flac ogg oga opus mp3 aiff aif aifc au snd caf w64 m4a m4b aac webm mp4 mka mkv mov wma amr 3gp".split()
)
MAX_BAD_SHARE = 0.01
_EVERY = 20  # one recording of so many is held out
_HELD_OUT: Seconds = 3600.0  # more than that is only slow to look at
_FOUND_FILE = "audio.json"

Clip = tuple[str, Seconds | None, Seconds]
"""The id of a recording and a window of it."""


def own_corpus(data: EncoderData, output: Path, with_words: bool) -> Corpus:
    """The recipe's own audio as splits `train` and `dev` of windows; heard the first time, then read from the run.

    Args:
        data: Where the audio is, and how long a window may be.
        output: The run's folder.
        with_words: Whether transcripts are needed.

    Returns:
        A corpus whose `description["audio"]` tells which audio it is, with a digest of names, sizes and words, and
        `description["hours"]` how much of it is used.

    Raises:
        UserError: If there is none, too much of it cannot be read, all of it is silent or too short, nothing in it is
            transcribed, or the run was begun with other audio.
    """
    place = _place(data)
    sources = _of_folder(place) if data.audio else _of_corpus(place)
    told, path = _told(sources), output / _FOUND_FILE
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    if found and found["audio"] != told:
        raise UserError(
            f"'{output}' was begun with other audio ({found['audio']}; '{place}' is {told} now): give the audio it "
            "was begun with, take another --output, or delete that folder"
        )
    if not found or found["max_seconds"] != data.max_seconds:
        found = {"audio": told, "max_seconds": data.max_seconds, **_find(sources, place, data)}
        write_text(path, json.dumps(found, indent=1) + "\n")
    recordings = {recording.id: recording for part in sources.values() for recording in part}
    splits = {
        part: [Window(start, seconds).of(recordings[name]) for name, start, seconds in found[part]]
        for part in ("train", "dev")
    }
    if with_words and not any(window.text for window in splits["train"]):
        raise CorpusError(
            f"no clip of at most {data.max_seconds:g} s in '{place}' has a `text`, which CTC learns from: give "
            "transcripts (docs/data.md), or take `ctc` out of the recipe, for BEST-RQ alone"
        )
    hours = sum(window.duration for windows in splits.values() for window in windows) / 3600
    about = {"audio": told, "hours": hours, "recordings": len(recordings)}
    return Corpus(str(place), {}, about, {"train": found["unreadable"]}, dict(splits))


def _place(data: EncoderData) -> Path:
    place = data.audio or data.corpus
    if place is None:
        raise UserError(
            "there is nothing to hear: name a folder of recordings (--audio FOLDER or data.audio), or in data.corpus "
            "a corpus folder or a JSONL file"
        )
    return place


def _of_folder(folder: Path) -> dict[str, list[Utterance]]:
    """Every audio file in a folder and in those below it; the id is its path in there."""
    if not folder.is_dir():
        what = "is a file; for a JSONL there is data.corpus" if folder.exists() else "does not exist"
        raise UserError(f"data.audio: '{folder}' {what}; name a folder that holds audio files (--audio FOLDER)")
    files = sorted(_files(folder))
    audio = [file for file in files if Path(file).suffix.lower().lstrip(".") in SUFFIXES]
    if not audio:
        kinds = Counter(Path(file).suffix or "no suffix" for file in files)
        there = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(5)) or "it is empty"
        raise UserError(
            f"'{folder}' holds no audio file, nor does a folder in it ({there}); looked for are {', '.join(_common())}"
        )
    return {"train": [Utterance(file, AudioRef(folder / file), 0.0) for file in audio]}


def _common() -> list[str]:
    return [f".{suffix}" for suffix in ("wav", "flac", "mp3", "ogg", "opus", "m4a", "aac", "aiff", "webm", "mp4")]


def _files(folder: Path) -> Iterator[str]:
    """Paths of files below a folder, relative to it; hidden ones are not meant, links to folders are followed once."""
    entered: set[str] = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        entered.add(os.path.realpath(root))
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(os.path.join(root, name)) not in entered
        )
        for name in files:
            if not name.startswith("."):
                yield Path(root, name).relative_to(folder).as_posix()


def _of_corpus(path: Path) -> dict[str, list[Utterance]]:
    """The splits `train` and `dev` (or `validation`) of a corpus folder, or all of a JSONL."""
    if not path.exists():
        raise CorpusError(f"data.corpus: '{path}' does not exist; name a corpus folder or a JSONL file (docs/data.md)")
    if path.is_file():
        return {"train": Corpus.from_jsonl(path.stem, {"train": path}).utterances("train")}
    corpus = Corpus.open(path)
    held_out = next((split for split in ("dev", "validation") if split in corpus.splits), None)
    sources = {"train": corpus.utterances("train")}
    return sources | {"dev": corpus.utterances(held_out)} if held_out else sources


def _told(sources: Mapping[str, Sequence[Utterance]]) -> str:
    """Which audio it is: how much there is, and a digest of names, sizes and words."""
    lines, size = [], 0
    for part, recordings in sources.items():
        for recording in recordings:
            ref = recording.audio
            bytes_there = ref.path.stat().st_size if ref.path.exists() else 0
            size += bytes_there
            lines.append(repr((part, recording.id, bytes_there, ref.start, ref.duration, recording.text)))
    digest = hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()
    return f"{len(lines)} recordings, {size / 2**20:.1f} MB, digest {digest[:16]}"


def _find(sources: Mapping[str, Sequence[Utterance]], place: Path, data: EncoderData) -> dict[str, Any]:
    """Hears everything and divides it; what is found goes into `audio.json`."""
    heard = {part: _listen(part, recordings, data) for part, recordings in sources.items()}
    everything = {name: result for results in heard.values() for name, result in results.items()}
    unreadable = {name: result.problem for name, result in everything.items() if result.problem}
    too_short = [name for name, result in everything.items() if result.too_short]
    silent = sum(result.silent for result in everything.values())
    _judge(place, everything, unreadable, too_short, silent)
    usable = {part: _by_file(sources[part], results, place) for part, results in heard.items()}
    parts = usable if "dev" in usable else _divided(usable["train"])
    kept = {part: [clip for clips in files.values() for clip in clips] for part, files in parts.items()}
    _refuse_empty(place, kept)
    seconds = {part: sum(clip[-1] for clip in clips) for part, clips in kept.items()}
    say(
        f"'{place}': {len(kept['train'])} clips ({seconds['train'] / 3600:.2f} h) to train on, {len(kept['dev'])} "
        f"({seconds['dev'] / 60:.1f} min) held out; left out: {len(unreadable)} unreadable, {len(too_short)} shorter "
        f"than {SHORTEST:g} s, {silent} silent windows"
    )
    for name, problem in unreadable.items():
        say(f"  left out, unreadable: {name}: {problem}")
    return {"unreadable": unreadable, "too_short": too_short, "silent_windows": silent, **kept}


def _by_file(recordings: Sequence[Utterance], heard: Mapping[str, Heard], place: Path) -> dict[str, list[Clip]]:
    """Clips of each file that has any; files are named as they lie to the place, wherever that is."""
    root = place if place.is_dir() else place.parent
    files: dict[str, list[Clip]] = {}
    for recording in recordings:
        for window in heard[recording.id].windows:
            name = os.path.relpath(recording.audio.path, root)
            files.setdefault(name, []).append((recording.id, *window))
    return files


def _listen(part: str, recordings: Sequence[Utterance], data: EncoderData) -> dict[str, Heard]:
    heard: dict[str, Heard] = {}
    with over_processes(data.workers) as over, Progress(f"listening ({part})", len(recordings)) as progress:
        results = over(partial(listen, longest=data.max_seconds), recordings)
        for recording, result in zip(recordings, results, strict=True):
            heard[recording.id] = result
            progress.advance()
    return heard


def _judge(
    place: Path, heard: Mapping[str, Heard], unreadable: Mapping[str, str], too_short: Sequence[str], silent: int
) -> None:
    """Refuses audio of which too much cannot be used."""
    if not any(result.windows for result in heard.values()):
        reason = f", such as {next(iter(unreadable.values()))}" if unreadable else ""
        raise UserError(
            f"nothing in '{place}' can be trained on: of {len(heard)} recordings {len(unreadable)} cannot be "
            f"read{reason}, {len(too_short)} are shorter than {SHORTEST:g} s, the rest is silent ({silent} windows)"
        )
    if len(unreadable) > allowed_bad(MAX_BAD_SHARE, len(heard)):
        named = "; ".join(f"{name}: {problem}" for name, problem in list(unreadable.items())[:3])
        raise CorpusError(
            f"{len(unreadable)} of {len(heard)} recordings in '{place}' cannot be read, more than {MAX_BAD_SHARE:.0%} "
            f"are refused: mend them or take them out ({named})"
        )


def _divided(files: Mapping[str, Sequence[Clip]]) -> dict[str, dict[str, Sequence[Clip]]]:
    """Holds out one file of twenty by a hash of its name, an hour or so at most; of a single one its end."""
    if len(files) == 1:
        name, clips = next(iter(files.items()))
        held_out = max(1, len(clips) // _EVERY)
        return {"train": {name: clips[:-held_out]}, "dev": {name: clips[-held_out:]}}
    chosen: set[str] = set()
    seconds = 0.0
    for name in sorted(files, key=_hash)[:-1]:
        if chosen and (_hash(name) >= 2**64 / _EVERY or seconds >= _HELD_OUT):
            break
        chosen.add(name)
        seconds += sum(clip[-1] for clip in files[name])
    return {
        part: {name: clips for name, clips in files.items() if (name in chosen) == (part == "dev")}
        for part in ("train", "dev")
    }


def _hash(name: str) -> int:
    return hash_seed(0, "held out", name)


def _refuse_empty(place: Path, parts: Mapping[str, Sequence[Clip]]) -> None:
    for part, clips in parts.items():
        if not clips:
            raise UserError(
                f"'{place}' has too little sound: nothing is left {'to train on' if part == 'train' else 'to hold out'}"
                "; give more recordings, or a smaller data.max_seconds, which cuts a long one into more windows"
            )
