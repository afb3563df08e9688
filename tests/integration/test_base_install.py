"""What works without any extra: asking, and looking at a checkpoint; the rest says what to install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from speechverse.audio import Waveform, save

# accelerate is not among them: PEFT brings it.
OF_EXTRAS = ("espeakng_loader", "jiwer", "lhotse", "matplotlib", "rapidfuzz", "sacrebleu", "sklearn", "tensorboard")


def run_without_extras(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({OF_EXTRAS})); sys.argv = {['speechverse', *arguments]}; "
        "from speechverse.cli import main; main()"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)


def test_a_question_is_answered(tmp_path: Path) -> None:
    clip = save(tmp_path / "clip.wav", Waveform(np.sin(np.arange(16000) / 20).astype(np.float32) / 2))
    shown = run_without_extras("ask", str(clip), "What is meant?", "--choices", "music,weather", "--model", "tiny")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.strip() in ("music", "weather")


def test_a_checkpoint_is_described() -> None:
    shown = run_without_extras("info", "tiny")
    assert shown.returncode == 0, shown.stderr


@pytest.mark.parametrize(("verb", "extra"), [("evaluate", "eval"), ("train", "train")])
def test_a_verb_that_needs_more_says_what_to_install(verb: str, extra: str) -> None:
    shown = run_without_extras(verb, "tiny")
    assert shown.returncode == 2
    assert f"pip install 'speechverse[{extra}]'" in shown.stderr
    assert "Traceback" not in shown.stderr
