"""`speechverse reproduce`: its test sets, further rivals, and the way from a command to a page."""

from __future__ import annotations

import json
import re

import pytest

from running import speechverse
from speechverse.errors import CorpusError
from speechverse.findings import report
from speechverse.findings.deciding import Decided
from speechverse.findings.finding import HELD
from speechverse.findings.runner import Runner
from speechverse.findings.test_sets import fingerprint_of, open_test_set

ECHO = '''
from speechverse.types import Answer


class Echo:
    """Says of everything that it is true."""

    name, title, hears = "says-yes", "whatever is asked, yes", True

    def __init__(self, parts):
        pass

    def missing(self, examples):
        return None

    def answer(self, examples, progress=lambda number: None):
        return [Answer("yes") for _ in examples]
'''


@pytest.fixture
def folder_of(corpus):
    return corpus.utterances("test")[0].audio.path.parents[2]


@pytest.fixture
def several(tmp_path, folder_of, corpus):
    """A test set of one corpus folder's training part and a JSONL file."""
    clip = corpus.utterances("test")[0]
    line = {"id": "one", "audio": str(clip.audio.path), "text": "hello", "intent": "greet"}
    (tmp_path / "own.jsonl").write_text(json.dumps(line) + "\n")
    file = tmp_path / "sets" / "clean.yaml"
    file.parent.mkdir()
    file.write_text(
        f"noises: {{path: {folder_of}, split: train}}\nown: {{path: {tmp_path / 'own.jsonl'}}}\n"
    )
    return file


def test_several_corpora_are_one_test_set_with_the_labels_of_all(several, corpus) -> None:
    found = open_test_set(several)
    clips = {clip.id: clip for clip in found.utterances("test")}
    assert list(found.splits) == ["test"] and len(clips) == len(corpus.utterances("train")) + 1
    assert clips["noises/train-0"].text == corpus.utterances("train")[0].text
    assert clips["own/one"].labels["stratum"] == "own"
    assert clips["noises/train-1"].labels["stratum"] == "names", "its own kind is kept"
    assert {"greet", "play_music"} <= set(found.labels["intent"].names)


def test_a_test_set_of_several_is_another_when_one_of_them_is(several, tmp_path) -> None:
    before = fingerprint_of(several)
    assert fingerprint_of(several) == before
    with (tmp_path / "own.jsonl").open("a") as file:
        file.write("\n")
    assert fingerprint_of(several) != before


def test_clips_of_one_line_keep_apart_from_those_of_another_corpus(tmp_path, corpus) -> None:
    sounds = [str(clip.audio.path) for clip in corpus.utterances("test")[:4]]
    for name, pair in (("m", sounds[:2]), ("n", sounds[2:])):
        line = {"id": "1", "audio": pair, "emotion": "sad"}
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(line) + "\n")
    file = tmp_path / "clean.yaml"
    file.write_text("".join(f"{name}: {{path: {tmp_path / name}.jsonl}}\n" for name in "mn"))
    clips = [clip for one in open_test_set(file).utterances("test") for clip in one.clips]
    assert len({clip.id for clip in clips}) == 4


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("noises: corpora/noises", "does not name corpora"),
        ("- {path: corpora/noises}", "does not name corpora"),
        ("{}", "names no corpus"),
        ("noises: {path: corpora/noises}", "'corpora/noises' (noises) is not there"),
        ("noises: {folder: corpora/noises}", "folder: unknown key"),
        ("noises: {path: [}", "cannot be read"),
    ],
)
def test_a_list_of_corpora_that_is_wrong_says_how_to_write_one(tmp_path, text, told) -> None:
    file = tmp_path / "clean.yaml"
    file.write_text(text)
    with pytest.raises(CorpusError, match=re.escape(told)):
        open_test_set(file)


def test_a_split_that_one_of_several_lacks_is_told_with_those_that_it_has(
    tmp_path, folder_of
) -> None:
    file = tmp_path / "clean.yaml"
    file.write_text(f"noises: {{path: {folder_of}, split: dev}}\n")
    with pytest.raises(CorpusError, match="unknown split 'dev' .known: test, train"):
        open_test_set(file)


def test_a_rival_of_the_users_own_is_measured_and_the_same_command_reads_what_is_there(
    several, checkpoint, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("SPEECHVERSE_CACHE", str(tmp_path / "cache"))  # no Whisper is known
    (tmp_path / "own.py").write_text(ECHO)
    (several.parent / "words.yaml").write_text(several.read_text())
    command = ("reproduce", "small", "--model", checkpoint, "--only", "F1,F9", "--limit", 2,
               "--test-sets", several.parent, "--systems", f"{tmp_path / 'own.py'}:Echo",
               "--output", tmp_path / "out")  # fmt: skip
    speechverse(*command)
    table = (tmp_path / "out" / "findings.md").read_text()
    of_all_tasks, _, of_names = table.partition("## F9")
    assert of_all_tasks.count("the best of cascade and says-yes") == 11 and of_names
    assert (tmp_path / "out" / "findings.html").is_file()
    again = speechverse(*command)
    assert "2 of 2 evaluations are there already" in again.stderr
    unknown = speechverse(*command[:-3], "cascade-whispr", *command[-2:], status=2)
    assert "did you mean 'cascade-whisper'" in unknown.stderr


def test_what_was_made_is_printed_and_not_a_file_that_lies_there(
    several, tmp_path, monkeypatch
) -> None:
    found = Decided("F1", "It hears.", "a table", "all", HELD, (), (), "a command")
    monkeypatch.setattr(Runner, "run", lambda runner, chosen: iter([found]))
    monkeypatch.setattr(report, "write_numbers", lambda folder, made: made)
    monkeypatch.setattr(report, "write_page", lambda folder, made: None)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "findings.json").write_text('"stale"')
    shown = speechverse("reproduce", "small", "--only", "F1", "--test-sets", several.parent,
                        "--output", tmp_path / "out", "--json")  # fmt: skip
    assert [one["id"] for one in json.loads(shown.stdout)["findings"]] == ["F1"]
