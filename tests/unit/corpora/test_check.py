from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import soundfile
from sounds import sound, text
from typer.testing import CliRunner

from speechverse.cli import build_app
from speechverse.data import Corpus, write_corpus


def line(name: str, said: str, speaker: str) -> str:
    return json.dumps({"audio": f"{name}.wav", "text": said, "speaker": speaker})


def check(*options: str) -> tuple[int, dict]:
    found = CliRunner().invoke(build_app(), ["check", *options, "--json"])
    return found.exit_code, json.loads(found.stdout)


def test_splits_that_share_a_speaker_or_a_sound_do_not_pass(tmp_path: Path):
    sound(tmp_path / "a.wav")
    sound(tmp_path / "b.wav")
    shutil.copy(tmp_path / "a.wav", tmp_path / "c.wav")
    train = text(tmp_path / "train.jsonl", line("a", "One.", "x"), line("b", "Two.", "y"))
    test = text(tmp_path / "test.jsonl", line("c", "Three.", "x"))
    status, found = check(str(train), str(test))
    assert status == 2 and len(found["faults"]) == 2
    assert found["leaked"] == [["train/a", "test/c"]]
    assert "train" in Path(found["page"]).read_text()
    status, found = check(str(train), str(test), "--allow", "speakers,sounds")
    assert status == 0 and not found["faults"]


def test_splits_of_files_that_are_called_alike_are_told_apart_by_their_folders(tmp_path: Path):
    files = []
    for split in ("train", "test"):
        lines = [line(name, f"Number {name}.", "x") for name in "ab"]
        sound(tmp_path / split / "a.wav")
        sound(tmp_path / split / "b.wav", seconds=0.5)
        files.append(str(text(tmp_path / split / "manifest.jsonl", *lines)))
    status, found = check(*files)
    assert status == 2 and len(found["faults"]) == 3
    assert ["train-manifest/a", "test-manifest/a"] in found["leaked"]
    for split in ("train", "test"):
        (tmp_path / split / "a.wav").unlink()
    status, found = check(*files)
    assert sorted(found["unreadable"]) == ["a", "test-manifest/a"] and found["listened"] == 2
    refused = CliRunner().invoke(build_app(), ["check", files[0], files[0]])
    assert "could not be told apart" in str(refused.exception)


def test_every_clip_of_a_line_is_listened_to_and_can_be_heard_on_the_page(tmp_path: Path):
    for name in "abcd":
        sound(tmp_path / f"{name}.wav")
    lines = [
        json.dumps({"audio": [f"{one}.wav", f"{two}.wav"], "emotion": "happy"})
        for one, two in ("ab", "cd")
    ]
    mine = text(tmp_path / "mine.jsonl", *lines)
    _, found = check(str(mine))
    page = Path(found["page"]).read_text()
    assert found["listened"] == 4 and all(f"{name}.wav" in page for name in "abcd")
    text(tmp_path / "d.wav", "no sound" * 10)
    status, found = check(str(mine))
    assert status == 2 and found["unreadable"]


def test_what_is_worth_a_look_is_named_and_does_not_make_a_corpus_unfit(tmp_path: Path):
    for name, rate in (("usual", 16_000), ("slow", 8_000)):
        sound(tmp_path / f"{name}.wav", rate=rate)
    shutil.copy(tmp_path / "usual.wav", tmp_path / "again.wav")
    made = {
        "still": np.zeros(8_000),
        "loud": np.clip(3 * np.sin(np.arange(8_000) / 20), -1, 1),
        "short": np.sin(np.arange(8_000) / 20) * 0.5,
    }
    for name, samples in made.items():
        soundfile.write(tmp_path / f"{name}.wav", samples.astype(np.float32), 16_000)
    names = ("usual", "slow", "again", *made)
    lines = [
        json.dumps({"audio": f"{name}.wav", "text": name, "emotion": emotion})
        for name, emotion in zip(names, ("happy", "sad", "sad", "sad", "sad", "sad"), strict=True)
    ]
    status, found = check(str(text(tmp_path / "train.jsonl", *lines)))
    assert status == 0 and not found["faults"]
    assert (found["silent"], found["clipped"]) == (["still"], ["loud"])
    assert found["duplicates"] == [["usual", "again"]]
    assert found["rates"] == {"8000": 1, "16000": 5}
    assert found["fields"]["emotion"]["counts"] == {"sad": {"train": 5}, "happy": {"train": 1}}
    told = " ".join(found["notes"])
    for note in ("silent: 1", "clipped: 1", "exactly like another: 1", "sampling rates"):
        assert note in told


def test_a_file_that_cannot_be_read_does_not_pass(tmp_path: Path):
    sound(tmp_path / "a.wav")
    text(tmp_path / "b.wav", "no sound")
    mine = text(tmp_path / "mine.jsonl", line("a", "One.", "x"), line("b", "Two.", "y"))
    status, found = check(str(mine))
    assert status == 2 and list(found["unreadable"]) == ["b"]


def test_praise_of_a_few_clips_is_of_those_alone(tmp_path: Path):
    for name in "abc":
        sound(tmp_path / f"{name}.wav")
    lines = [line(name, f"Number {name}.", "x") for name in "abc"]
    mine = str(text(tmp_path / "mine.jsonl", *lines))
    told = CliRunner().invoke(build_app(), ["check", mine, "--clips", "2"]).stdout
    assert "of the 2 of 3 clips listened to none is unreadable" in told
    assert "no clip is unreadable" in CliRunner().invoke(build_app(), ["check", mine]).stdout


def test_all_files_that_are_missing_are_named_and_do_not_pass(tmp_path: Path):
    names = [f"c{number:02}" for number in range(25)]
    lines = [line(name, f"Number {name}.", "x") for name in names]
    for name in names:
        sound(tmp_path / f"{name}.wav")
    mine = text(tmp_path / "mine.jsonl", *lines)
    clips = Corpus.from_jsonl("mine", {"train": mine}).utterances("train")
    write_corpus(tmp_path / "folder", "mine", {"train": clips})
    for name in names[1:]:
        (tmp_path / f"{name}.wav").unlink()
    for corpus in (mine, tmp_path / "folder"):
        status, found = check(str(corpus), "--clips", "1")
        assert status == 2 and sorted(found["unreadable"]) == names[1:]
        assert "c24.wav is missing" in Path(found["page"]).read_text()
    (tmp_path / "c00.wav").unlink()
    told = CliRunner().invoke(build_app(), ["check", str(tmp_path / "folder")])
    assert told.exit_code == 2 and "c19" in told.stdout and "c20 " not in told.stdout
    assert "and 5 more" in told.stdout


def test_labels_and_names_stand_in_the_tables_as_they_are_written(tmp_path: Path):
    for name in "abc":
        sound(tmp_path / f"{name}.wav")
    labels = {"a": "[noise]", "b": "[/laugh]", "c": ":bell:"}
    lines = [json.dumps({"audio": f"{name}.wav", "emotion": labels[name]}) for name in "abc"]
    mine = text(tmp_path / "w[bold]x.jsonl", *lines)
    told = CliRunner().invoke(build_app(), ["check", str(mine)])
    assert told.exception is None and all(f"{one} 1" in told.stdout for one in labels.values())
    assert "w[bold]x  " in told.stdout
