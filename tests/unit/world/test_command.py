"""`speechverse synth` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from speechverse.audio import load
from speechverse.cli.synth import command
from speechverse.errors import UserError

app = typer.Typer()
app.command("synth")(command)


def run(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), catch_exceptions=True)
    if isinstance(result.exception, Exception):
        raise result.exception
    return result.stdout


def test_makes_a_corpus_and_says_how_fast(tmp_path: Path) -> None:
    out = str(tmp_path / "world")
    told = json.loads(run(out, "--train", "3", "--dev", "1", "--workers", "1", "--json"))
    assert told["clips"] == 4 and told["reused"] == 0 and told["audio_seconds_per_second"] > 0
    assert "4 clips" in run(out, "--train", "3", "--dev", "1")


def test_speaks_one_text(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    told = json.loads(
        run(
            "--text",
            "play some jazz",
            "--voice",
            "m1",
            "--emotion",
            "sad",
            "-o",
            str(path),
            "--json",
        )
    )
    assert load(path).duration == pytest.approx(told["seconds"], abs=0.01)


def test_a_clip_of_ones_own_is_written_over_only_where_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("clip.wav").write_bytes(b"my own")
    with pytest.raises(UserError, match=r"'clip\.wav' is there already"):
        run("--text", "hello")
    assert Path("clip.wav").read_bytes() == b"my own"
    run("--text", "hello", "--output", "clip.wav")
    Path("clip.wav").rename("other.wav")
    run("--text", "hello")
    assert Path("clip.wav").read_bytes() == Path("other.wav").read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "name a folder"),
        (("out", "--text", "hello"), "the folder says how to make a corpus"),
        (("--text", "hello", "--train", "3"), "--train says how to make a corpus"),
        (("out", "--emotion", "sad"), "--emotion says how to speak"),
        (("out", "--test-set", "clean", "--seed", "3"), "--seed cannot be chosen"),
        (("out", "--test-set", "cleen"), "did you mean 'clean'"),
        (("--text", "hello", "-o", "clip.mp3"), r"\.flac or \.wav"),
    ],
)
def test_options_that_do_not_fit_are_refused(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(*words)


def test_speaks_somebodys_own_lines(tmp_path: Path) -> None:
    path, out = tmp_path / "mine.jsonl", str(tmp_path / "out")
    path.write_text('{"utt": "hello there", "label": "greet"}\n')
    words = (
        out,
        "--from",
        str(path),
        "--text-key",
        "utt",
        "--rename",
        "label=intent",
        "--split",
        "test",
        "--workers",
        "1",
    )
    assert "labels kept: intent" in run(*words)
    assert json.loads(run(*words, "--json"))["reused"] == 1
    for wrong, says in (
        (("--train", "3"), "--train says how much"),
        (("--rename", "label"), "label=intent"),
        (("--test-set", "clean"), "--from, --rename, --split, --text-key cannot be chosen"),
    ):
        with pytest.raises(UserError, match=says):
            run(*words, *wrong)
    with pytest.raises(UserError, match="--split says how to read sentences"):
        run(out, "--split", "test")
