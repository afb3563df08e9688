"""Real sounds and real voices from Debian's packages of games, as two plain JSONL corpora.

`sounds`: does anybody speak (`is_speech`), from animals, machines, music and fighting against
speech in some twenty languages. `voices`: English prompts read by one person, with the transcript
that Whisper's own decoder gives them, since the package brings none.

    apt-get download PACKAGE...  (those of SPOKEN and UNSPOKEN below)
    dpkg -x FILE.deb UNPACKED/PACKAGE
    python examples/sounds/collect.py UNPACKED runs/real
"""

from __future__ import annotations

import argparse
import json
import random
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from scipy.signal import resample_poly

from speechverse.encoders.whisper_text import load_whisper

RATE = 16_000
# Where people speak, by package; how many clips at most of each folder of voices.
SPOKEN = {
    "tuxpaint-stamps-default": (r"_desc(_\w+)?\.ogg$|/(math|alphabets)/", 300),
    "asterisk-core-sounds-en-wav": (r"\.wav$", 250),
    "hedgewars-data": (r"/voices/(?!Singer|Robot)", 300),
    "ktuberling-data": (r"\.(wav|ogg)$", 150),
}
# What nobody speaks in; grunts and laughs of fighters are left out: whether they are speech may
# be argued.
UNSPOKEN = {
    "tuxpaint-stamps-default": r"^(?!.*(_desc|/math/|/alphabets/|roadsigns|dreydl|people|faces))",
    "wesnoth-1.16-data": r"/(?!.*(human|dwarf|elf|orc|laugh|groan|wail|ugg|goblin))",
    "wesnoth-1.16-music": r"",
    "hedgewars-data": r"/Music/",
    "colobot-common-sounds": r"",
    "extremetuxracer-data": r"",
    "frozen-bubble-data": r"",
    "lomiri-sounds": r"",
    "oxygen-sounds": r"",
}
SUFFIXES = (".wav", ".ogg")
PIECES_OF_A_LONG_ONE = 4
ENGLISH = "asterisk-core-sounds-en-wav"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("unpacked", type=Path, help="one folder a package")
    parser.add_argument("output", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    spoken = list(cut(args.output, spoken_files(args.unpacked, rng), True, rng))
    unspoken = list(cut(args.output, unspoken_files(args.unpacked), False, rng))
    write(args.output / "sounds", spoken + unspoken, rng)
    voices = sorted(args.unpacked.glob(f"{ENGLISH}/**/*.wav"))
    read = cut(args.output / "read", voices, True, rng)  # some are among those of speech, too
    write(args.output / "voices", transcribed(read), rng)
    print(f"{len(spoken)} clips of speech, {len(unspoken)} of other sounds")


def spoken_files(unpacked: Path, rng: random.Random) -> list[Path]:
    """Voices of each package, no more than its number: a few hundred of seven thousand."""
    files = []
    for package, (pattern, most) in SPOKEN.items():
        found = audio_of(unpacked / package, pattern)
        files += rng.sample(found, min(most, len(found)))
    return files


def unspoken_files(unpacked: Path) -> list[Path]:
    return [
        f for package, pattern in UNSPOKEN.items() for f in audio_of(unpacked / package, pattern)
    ]


def audio_of(folder: Path, pattern: str) -> list[Path]:
    """Audio files of a package whose path matches.

    Raises:
        SystemExit: If there are none: the package is not unpacked there.
    """
    files = [f for f in sorted(folder.rglob("*")) if f.suffix in SUFFIXES and f.is_file()]
    found = [f for f in files if re.search(pattern, str(f.relative_to(folder.parent)))]
    if not found:
        raise SystemExit(f"{folder}: no audio that matches {pattern!r}; unpack the package there")
    return found


def cut(
    output: Path, files: Sequence[Path], is_speech: bool, rng: random.Random
) -> Iterator[dict[str, Any]]:
    """Clips of 1 to 6 s at 16 kHz, written as FLAC: long files give pieces, short ones rest."""
    folder = output / "audio"
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
        heard = resample_poly(samples.mean(axis=1), RATE, rate).astype(np.float32)
        for number, piece in enumerate(pieces(heard, is_speech, rng)):
            if np.abs(piece).max(initial=0.0) < 1e-3:
                continue
            name = f"{'-'.join(file.parts[-4:])}-{number}".replace(".", "-")
            soundfile.write(folder / f"{name}.flac", piece, RATE)
            yield {
                "id": name,
                "audio": str((folder / f"{name}.flac").resolve()),
                "is_speech": is_speech,
                "speaker": file.parts[-2],
            }


def pieces(heard: np.ndarray, is_speech: bool, rng: random.Random) -> Iterator[np.ndarray]:
    """Speech whole, up to 12 s; other sounds as pieces, a short one alone or said again and again,
    so that neither length nor stillness tells which it is.
    """
    if is_speech:
        yield padded(heard[: 12 * RATE], rng)
        return
    length = int(rng.uniform(1.0, 6.0) * RATE)
    if len(heard) > 2 * length:
        for _ in range(min(PIECES_OF_A_LONG_ONE, len(heard) // length)):
            start = rng.randrange(len(heard) - length)
            yield heard[start : start + length]
        return
    if rng.random() < 0.5:
        gap = np.zeros(int(rng.uniform(0.1, 1.0) * RATE), np.float32)
        heard = np.tile(np.concatenate([heard, gap]), 1 + length // (len(heard) + len(gap)))
    yield padded(heard[: 6 * RATE], rng)


def padded(heard: np.ndarray, rng: random.Random) -> np.ndarray:
    """With up to .7 s of rest on either side."""
    before, after = (np.zeros(int(rng.uniform(0.0, 0.7) * RATE), np.float32) for _ in range(2))
    return np.concatenate([before, heard, after])


def transcribed(clips: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    """The clips in which Whisper's own decoder hears words, with these."""
    found = list(clips)
    heard = [soundfile.read(clip["audio"], dtype="float32")[0] for clip in found]
    texts = load_whisper("whisper-base").transcribe(heard)
    kept = []
    for clip, text in zip(found, map(str.strip, texts), strict=True):
        if re.search("[a-z]{2}", text) and not in_circles(text):
            kept.append(clip | {"text": text, "language": "en"})
    return kept


def in_circles(text: str) -> bool:
    """Whether most words come again: Whisper's decoder repeats what is too short for it."""
    words = re.findall(r"[\w']+", text.lower())
    return len(words) > 3 and len(set(words)) <= len(words) / 2


def write(folder: Path, clips: list[dict[str, Any]], rng: random.Random) -> None:
    """All clips of one recording of twelve to hold out, the same ones of every corpus."""
    folder.mkdir(parents=True, exist_ok=True)
    rng.shuffle(clips)
    parts: dict[str, list[dict[str, Any]]] = {"dev": [], "train": []}
    for clip in clips:
        recording = clip["id"].rpartition("-")[0]
        held_out = zlib.crc32(recording.encode()) % 12 == 0
        parts["dev" if held_out else "train"].append(clip)
    for split, part in parts.items():
        lines = "".join(json.dumps(c) + "\n" for c in part)
        (folder / f"{split}.jsonl").write_text(lines, encoding="utf-8")


if __name__ == "__main__":
    main()
