"""Sounds that come out of a pipe, at the prompt."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from speechverse.audio import Waveform, save
from speechverse.cli import ask
from speechverse.cli.ask import command
from speechverse.errors import AudioError, UserError


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    noise = (np.random.default_rng(0).standard_normal(12_000) * 0.1).astype(np.float32)
    return save(tmp_path_factory.mktemp("clips") / "noise.wav", Waveform(noise)).read_bytes()


def asked(clip, checkpoint, piped=None):
    app = typer.Typer()
    app.command()(command)
    wanted = [str(clip), "is it loud", "--choices", "yes,no", "--model", str(checkpoint), "--json"]
    result = CliRunner().invoke(app, wanted, input=piped)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return json.loads(result.output)


def test_what_is_piped_in_is_heard_like_a_file(checkpoint, content, tmp_path):
    (tmp_path / "clip.wav").write_bytes(content)
    from_file = asked(tmp_path / "clip.wav", checkpoint)
    from_pipe = asked("-", checkpoint, piped=content)
    assert from_pipe == {**from_file, "clip": "-"}
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_bytes, args=(content,))
    writer.start()
    assert asked(fifo, checkpoint)["answer"] == from_file["answer"]
    writer.join()


def test_a_pipe_that_brings_nothing_is_told_before_a_model_is_loaded():
    with pytest.raises(AudioError, match="standard input is empty"):
        asked("-", "no-such-checkpoint", piped=b"")


def test_a_closed_standard_input_is_told(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UserError, match="nothing is piped into it"):
        ask._try_clip(Path("-"))
