"""The examples run as their headings say."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "digits" / "rotate.py"


def test_digits_of_real_people_are_rotated_over_their_speakers(real_speech: Path, tmp_path: Path) -> None:
    clips = [json.loads(line) for line in (real_speech / "manifest.jsonl").read_text().splitlines()]
    kept = [clip for clip in clips if clip["dataset"] == "fsdd" and clip["speaker"] in ("george", "lucas")]
    kept = [clip for clip in kept if clip["audio"].endswith(("_0.flac", "_1.flac", "_2.flac"))]
    speech = tmp_path / "speech"
    for clip in kept:
        (speech / clip["audio"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(real_speech / clip["audio"], speech / clip["audio"])
    (speech / "manifest.jsonl").write_text("\n".join(map(json.dumps, kept)))
    short = ("curriculum.0.steps=2", "curriculum.0.warmup_steps=1", "data.validation.every=2")
    command = [sys.executable, EXAMPLE, speech, "--output", tmp_path / "digits", *short]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("all")]
    assert [line[1] for line in lines] == ["before", "ctc", "after"]
    assert all(line[-1] == f"n={len(kept)}" for line in lines)
