"""The examples run as their headings say."""

from __future__ import annotations

import io
import json
import runpy
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from running import speechverse
from taught import Taught

start = subprocess.run
EXAMPLES = Path(__file__).parents[2] / "examples"
KEPT = {
    "fsdd": 8,
    "picovoice_s2i": 4,
    "picovoice_wakeword": 4,
    "pyaudioanalysis": 8,
    "ami_pyannote": 8,
}
"""How many clips of each data set the cheap part of the measurement is tried on, spread over the
set.
"""


def test_digits_of_real_people_are_rotated_over_their_speakers(
    real_speech: Path, taught: Taught, tmp_path: Path
) -> None:
    clips = [json.loads(line) for line in (real_speech / "manifest.jsonl").read_text().splitlines()]
    kept = [
        clip
        for clip in clips
        if clip["dataset"] == "fsdd" and clip["speaker"] in ("george", "lucas")
    ]
    kept = [clip for clip in kept if clip["audio"].endswith(("_0.flac", "_1.flac", "_2.flac"))]
    speech = copied(real_speech, kept, tmp_path / "speech")
    short = [
        f"curriculum.{stage}.{key}" for stage in (0, 1) for key in ("steps=2", "warmup_steps=1")
    ]
    # A position of this model lasts .4 s, so a digit has one: CTC writes no word along it.
    short.append("curriculum.0.objective=answer")
    asked = (
        "--model",
        taught.model,
        "--systems",
        "speechverse,cascade-whisper",
        "--ways",
        "generated",
    )
    command = (
        EXAMPLES / "people" / "measure.py",
        speech,
        *asked,
        "--parts",
        "digits",
        "--output",
        tmp_path / "out",
        *short,
    )
    printed = ran(*command)
    lines = [line.split() for line in printed.splitlines()]
    assert {(line[1], line[3]) for line in lines} == {
        (model, system)
        for model in ("unadapted", "adapted")
        for system in ("speechverse", "cascade-whisper")
    }
    assert all(line[-1] == f"n={len(kept)}" for line in lines)
    trained = {
        place: place.stat().st_mtime_ns for place in (tmp_path / "out").rglob("summary.json")
    }
    made = (tmp_path / "out" / "answers.kept.jsonl").read_text()
    assert len(trained) == 2 and ran(*command) == printed
    assert {place: place.stat().st_mtime_ns for place in trained} == trained, (
        "a whole run was trained again"
    )
    assert (tmp_path / "out" / "answers.kept.jsonl").read_text() == made, "an answer was made twice"


def test_another_model_or_other_clips_are_adapted_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES / "people"))
    measure = runpy.run_path(str(EXAMPLES / "people" / "measure.py"))
    ways = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: ways.append(command[-1]))
    model, folder = tmp_path / "model", tmp_path / "fold"
    for place, text in (
        (model / "lora" / "a.safetensors", "weights"),
        (folder / "train.jsonl", "{}"),
    ):
        place.parent.mkdir(parents=True)
        place.write_text(text)
    for changed in (None, None, model / "lora" / "a.safetensors", None, folder / "train.jsonl"):
        if changed:
            changed.write_text("other")
        measure["adapt"]("digits", str(model), folder, ())
    assert ways == ["--overwrite", "--resume", "--overwrite", "--resume", "--overwrite"]


def test_real_people_are_measured_as_the_model_is(
    real_speech: Path, taught: Taught, tmp_path: Path
) -> None:
    clips = [json.loads(line) for line in (real_speech / "manifest.jsonl").read_text().splitlines()]
    by_set = {name: [clip for clip in clips if clip["dataset"] == name] for name in KEPT}
    kept = [
        clip for name, count in KEPT.items() for clip in by_set[name][:: len(by_set[name]) // count]
    ]
    speech, output = copied(real_speech, kept, tmp_path / "speech"), tmp_path / "people"
    parts = "digits,orders,wake,speech,meetings"  # of readers these few clips have none
    asked = ("--model", taught.model, "--systems", "speechverse", "--unadapted", "--parts", parts)
    printed = ran(EXAMPLES / "people" / "measure.py", speech, "--output", output, *asked)
    rows = json.loads((output / "people.json").read_text())
    assert len(printed.splitlines()) == len(rows)
    assert {(row["part"], row["metric"]) for row in rows if row["system"] == "speechverse"} == {
        ("digits", "wrong"),
        ("digits", "accuracy"),
        ("orders", "slu_f1"),
        ("wake", "balanced_accuracy"),
        ("speech", "uar"),
        ("meetings", "uar"),
    }
    assert {(row["part"], row["answered"]) for row in rows if row["system"] == "log-mel"} == {
        ("meetings", "generated")
    }
    assert {row["answered"] for row in rows} == {
        "generated",
        "scored raw",
        "scored length",
        "scored prior",
    }
    assert all(0 <= row["low"] <= row["value"] <= row["high"] <= 1 for row in rows)


def copied(real_speech: Path, clips: list[dict], folder: Path) -> Path:
    """A folder of speech that holds only these clips."""
    for clip in clips:
        (folder / clip["audio"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(real_speech / clip["audio"], folder / clip["audio"])
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, clips)))
    return folder


def ran(script: Path, *arguments: object) -> str:
    """What an example prints. It runs here, and so do the commands that it gives: a process takes
    seconds to start.
    """
    printed = io.StringIO()
    with (
        mock.patch.object(sys, "argv", [str(script), *map(str, arguments)]),
        mock.patch.object(sys, "path", [str(script.parent), *sys.path]),
        mock.patch.object(subprocess, "run", given),
        redirect_stdout(printed),
    ):
        runpy.run_path(str(script), run_name="__main__")
    return printed.getvalue()


def given(command: list[str], **options: Any) -> Any:
    """A command that an example gives; one for the command line runs here."""
    if command[1:3] == ["-m", "speechverse"]:
        return speechverse(*command[3:])
    return start(command, **options)
