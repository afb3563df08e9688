"""`ask FOLDER` stopped for real, by Ctrl-C and by kill -9: the same command goes on where it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from microscopic import save_letters_checkpoint
from running import speechverse
from speechverse.audio import Waveform, save

CLIPS = 80


def stop_underway(command: list[str], output: Path, sign: signal.Signals) -> tuple[int, str]:
    """Starts it, sends the signal once it has written more answers; exit status and messages."""
    before = output.stat().st_size if output.exists() else 0
    started = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while started.poll() is None and not (output.exists() and output.stat().st_size > before):
        time.sleep(0.005)
    started.send_signal(sign)
    _, told = started.communicate(timeout=120)
    return started.returncode, told


def test_a_folder_run_that_is_stopped_goes_on_and_nothing_is_doubled_or_lost(tmp_path):
    model = save_letters_checkpoint(tmp_path, max_audio_seconds=2.0)
    folder, output = tmp_path / "clips", tmp_path / "answers.jsonl"
    folder.mkdir()
    sound = np.random.default_rng(0).standard_normal(4000).astype(np.float32) * 0.1
    first = save(folder / "000.wav", Waveform(sound))
    for number in range(1, CLIPS):
        os.link(first, folder / f"{number:03}.wav")
    asked = ["ask", folder, "what is said", "--model", model, "--output", output]
    command = [sys.executable, "-m", "speechverse", *map(str, asked)]

    status, told = stop_underway(command, output, signal.SIGINT)
    assert status == 130 and "the same command goes on from here" in told
    assert "Traceback" not in told
    interrupted = output.read_text()
    assert 0 < len(interrupted.splitlines()) < CLIPS

    status, _ = stop_underway(command, output, signal.SIGKILL)
    assert status == -signal.SIGKILL
    assert output.read_text().startswith(interrupted)

    done = speechverse(*asked)
    assert f"of {CLIPS} answers" in done.stderr
    clips = [json.loads(line)["clip"] for line in output.read_text().splitlines()]
    assert sorted(clips) == sorted(map(str, folder.iterdir()))
