"""`ask FOLDER` stopped for real, by Ctrl-C and by kill -9: the same command goes on where it was."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from microscopic import save_letters_checkpoint
from running import run_here, speechverse
from speechverse.answers_file import AnswersFile
from speechverse.audio import Waveform, save
from speechverse.cli.ask_folder import AT_ONCE_ON_CPU

CLIPS = 4 * AT_ONCE_ON_CPU


def stopped_underway(arguments: list[object], sign: signal.Signals, told: Path) -> int:
    """Runs a command in a process of its own, forked since a start takes seconds, which gets the
    signal once it has written answers; its exit status.
    """
    if (child := os.fork()) == 0:
        # Whoever runs the tests in the background has them ignore Ctrl-C.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        add = AnswersFile.add

        def add_and_stop(file: AnswersFile, records: Iterable[dict[str, Any]]) -> None:
            add(file, records)
            os.kill(os.getpid(), sign)

        AnswersFile.add = add_and_stop  # type: ignore[method-assign]
        status = 1
        try:
            done = run_here(*arguments)
            told.write_text(done.stderr)
            status = done.returncode
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_folder_run_that_is_stopped_goes_on_and_nothing_is_doubled_or_lost(tmp_path):
    model = save_letters_checkpoint(tmp_path, max_audio_seconds=2.0)
    folder, output, told = tmp_path / "clips", tmp_path / "answers.jsonl", tmp_path / "told"
    folder.mkdir()
    sound = np.random.default_rng(0).standard_normal(4000).astype(np.float32) * 0.1
    first = save(folder / "000.wav", Waveform(sound))
    for number in range(1, CLIPS):
        os.link(first, folder / f"{number:03}.wav")
    asked = ["ask", folder, "what is said", "--model", model, "--output", output]

    assert stopped_underway(asked, signal.SIGINT, told) == 130
    assert "the same command goes on from here" in told.read_text()
    assert "Traceback" not in told.read_text()
    interrupted = output.read_text()
    assert 0 < len(interrupted.splitlines()) < CLIPS

    assert stopped_underway(asked, signal.SIGKILL, told) == -signal.SIGKILL
    assert output.read_text().startswith(interrupted)

    done = speechverse(*asked)
    assert f"of {CLIPS} answers" in done.stderr
    clips = [json.loads(line)["clip"] for line in output.read_text().splitlines()]
    assert sorted(clips) == sorted(map(str, folder.iterdir()))

    (folder / "001.wav").unlink()
    save(folder / "001.wav", Waveform(sound[:2000]))
    again = speechverse(*asked)
    assert f"found {CLIPS - 1} of {CLIPS} answers" in again.stderr
    assert len(output.read_text().splitlines()) == CLIPS
