"""What long recordings cost and lose: memory along hours of joined clips, and words at the joints.

    python -m benchmarks.long_audio CLIPS --hours 2         # memory: the peak early and at the end
    python -m benchmarks.long_audio CLIPS --joints 8        # cut at most every 8 s, against uncut

CLIPS is a JSON-lines manifest (`audio`, `text`) or a folder of audio files.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from speechverse import SpeechVerse
from speechverse.audio import load
from speechverse.audio.names import is_audio_name
from speechverse.longform.cutting import cut_at_pauses
from speechverse.longform.writers import Writers
from speechverse.types import SAMPLING_RATE, Seconds

EARLY = 0.1
"""Share of a recording behind which its early peak is read."""
PAUSE: Seconds = 0.7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--model", default="small")
    parser.add_argument("--decoder", choices=("own", "llm"), default="own")
    parser.add_argument("--hours", type=float, help="measure memory over so long a recording")
    parser.add_argument("--joints", type=float, help="cut after at most so many seconds")
    parser.add_argument("--limit", type=int, default=50, help="clips whose joints are measured")
    given = parser.parse_args()
    model = SpeechVerse.from_pretrained(given.model)
    clips = list(clips_of(given.clips))
    if given.hours:
        print(json.dumps(memory(model, clips, given.hours, given.decoder)))
    if given.joints:
        print(json.dumps(joints(model, clips[: given.limit], given.joints, given.decoder)))


def clips_of(place: Path) -> Iterator[Path]:
    """The files of a folder by name, or of a manifest's lines that have a text."""
    if place.is_dir():
        yield from sorted(path for path in place.rglob("*") if is_audio_name(path))
        return
    for line in place.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if record.get("text"):
            yield place.parent / record["audio"]


def memory(model: SpeechVerse, clips: list[Path], hours: float, decoder: Any) -> dict[str, Any]:
    """The process's peak memory behind the first tenth of a recording and at its end, in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        seconds = join(clips, Path(folder) / "joined.wav", hours * 3600)
        early, words, began = 0.0, 0, time.perf_counter()
        for segment in model.segments(Path(folder) / "joined.wav", decoder=decoder):
            words += len(segment.text.split())
            if not early and segment.end > EARLY * seconds:
                early = peak()
        took = time.perf_counter() - began
    return {
        "seconds": round(seconds),
        "words": words,
        "peak_early_mib": round(early),
        "peak_late_mib": round(peak()),
        "times_real_time": round(seconds / took, 1),
    }


def join(clips: list[Path], into: Path, seconds: Seconds) -> Seconds:
    """Writes clips with pauses between them, again and again, until they last so long."""
    pause, frames = np.zeros(round(PAUSE * SAMPLING_RATE), np.float32), 0
    with soundfile.SoundFile(into, "w", SAMPLING_RATE, 1) as file:
        for clip in cycle(clips):
            samples = np.concatenate([load(clip).samples, pause])
            file.write(samples)
            frames += len(samples)
            if frames >= seconds * SAMPLING_RATE:
                return frames / SAMPLING_RATE
    raise SystemExit("there is no clip")


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def joints(model: SpeechVerse, clips: list[Path], longest: Seconds, decoder: Any) -> dict[str, Any]:
    """Words that a recording cut into pieces has more, fewer or other than the same one uncut."""
    import jiwer

    from speechverse.metrics.normalize import normalize

    writer = Writers(model).find(decoder, None, ())
    cuts, whole, cut = 0, list[str](), list[str]()
    for clip in clips:
        samples = load(clip).samples
        if len(samples) > writer.longest * SAMPLING_RATE:
            continue
        [uncut] = writer([samples])
        pieces = writer([piece.samples for piece in cut_at_pauses([samples], longest)])
        cuts += max(0, len(pieces) - 1)
        whole.append(normalize(uncut.text))
        cut.append(normalize(" ".join(piece.text for piece in pieces)))
    kept = [pair for pair in zip(whole, cut, strict=True) if pair[0]]
    found = jiwer.process_words([pair[0] for pair in kept], [pair[1] for pair in kept])
    return {
        "clips": len(kept),
        "cuts": cuts,
        "words": found.hits + found.substitutions + found.deletions,
        "more": found.insertions,
        "fewer": found.deletions,
        "other": found.substitutions,
    }


if __name__ == "__main__":
    main()
