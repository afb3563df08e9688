"""Answers made in other ways, piece by piece, for a whole folder, and by a task's own question."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from speechverse import SpeechVerse
from speechverse.audio import Waveform, save
from speechverse.cli import ask
from speechverse.decoding import DecodingOptions
from speechverse.errors import TaskError, UserError
from speechverse.evaluation.cascades import WhisperReader

CHOICES = ["yes", "no", "not at all"]
SHORT = ("--max-new-tokens", 6)


@pytest.fixture(scope="module")
def model(checkpoint):
    return SpeechVerse.from_pretrained(checkpoint, "cpu")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    noise = (np.random.default_rng(0).standard_normal(12_000) * 0.1).astype(np.float32)
    return save(tmp_path_factory.mktemp("clips") / "noise.wav", Waveform(noise))


@pytest.fixture
def folder(tmp_path):
    """Three clips, one of them a folder below, one that is no audio, and a file of another kind."""
    draw = np.random.default_rng(1)
    (tmp_path / "calls" / "old").mkdir(parents=True)
    for name in ("b.wav", "a.flac", "old/c.wav"):
        noise = (draw.standard_normal(8000) * 0.1).astype(np.float32)
        save(tmp_path / "calls" / name, Waveform(noise))
    (tmp_path / "calls" / "broken.wav").write_bytes(b"not a sound at all")
    (tmp_path / "calls" / "notes.txt").write_text("no clip")
    return tmp_path / "calls"


@pytest.fixture
def run(checkpoint, monkeypatch, model):
    """`speechverse ask`, with the model that is loaded already."""
    loaded = []
    monkeypatch.setattr(
        SpeechVerse, "from_pretrained", lambda *given: loaded.append(given) or model
    )
    app = typer.Typer()
    app.command()(ask.command)

    def run(*arguments):
        given = [str(argument) for argument in (*arguments, "--model", checkpoint)]
        result = CliRunner().invoke(app, given)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    run.loaded = loaded
    return run


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# In Python


def test_options_are_given_by_name_and_wrong_ones_refused(model, clip):
    drawn = [
        model.ask(clip, "what is said", max_new_tokens=6, temperature=2.0, seed=seed).text
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert model.ask(clip, "is it loud", CHOICES, num_beams=3).text in CHOICES
    with pytest.raises(UserError, match="did you mean 'num_beams'"):
        model.ask(clip, "what is said", num_beam=2)
    with pytest.raises(UserError, match="stop shape free answers"):
        model.ask(clip, "is it loud", CHOICES, stop=["y"])


def test_stop_may_be_one_text_and_choices_are_texts(model, clip):
    how = {"max_new_tokens": 6}
    assert model.ask(clip, "q", stop=".", **how) == model.ask(clip, "q", stop=["."], **how)
    with pytest.raises(UserError, match="choices are .1, 2.; give a list"):
        model.ask(clip, "q", choices=[1, 2])


def test_pieces_joined_are_what_ask_answers(model, clip):
    stream = model.stream(clip, "what is said", max_new_tokens=8)
    pieces = list(stream)
    assert stream.answer == model.ask(clip, "what is said", max_new_tokens=8)
    assert "".join(pieces) == stream.answer.text
    chosen = model.stream(clip, "is it loud", CHOICES)
    assert list(chosen) == [chosen.answer.text]
    with pytest.raises(UserError, match="cannot be streamed"):
        model.stream(clip, "what is said", num_beams=2)


def test_whoever_stops_reading_stops_the_model(model, clip):
    with model.stream(clip, "what is said", max_new_tokens=500) as stream:
        next(stream)
    assert list(stream) == []
    assert "answering" not in {thread.name for thread in threading.enumerate()}
    assert model.ask(clip, "what is said", max_new_tokens=4).text is not None


def test_what_fails_while_answering_is_told_to_the_reader(model, clip, monkeypatch):
    def fail(*_, **__):
        raise MemoryError("no room")

    monkeypatch.setattr(model.model.llm, "generate", fail)
    with pytest.raises(MemoryError, match="no room"):
        list(model.stream(clip, "what is said"))


def test_shares_of_scored_choices_sum_to_one(model, clip):
    answer = model.ask(clip, "is it loud", CHOICES, choice_mode="score")
    assert sum(answer.choice_probs.values()) == pytest.approx(1)
    assert max(answer.choice_probs, key=answer.choice_probs.get) == answer.text
    assert model.ask(clip, "is it loud", CHOICES).choice_probs == {}


# On the command line


def test_the_answer_is_printed_as_it_comes(run, clip):
    whole = run(clip, "what is said", *SHORT).stdout
    assert run(clip, "what is said", *SHORT, "--stream").stdout == whole
    with pytest.raises(UserError, match="--stream prints"):
        run(clip, "what is said", "--stream", "--json")
    with pytest.raises(UserError, match="cannot be streamed"):
        run(clip, "what is said", "--stream", "--beams", 2)


def test_ways_to_answer_on_the_command_line(run, clip):
    drawn = [
        run(clip, "what is said", *SHORT, "--temperature", 2, "--top-p", 0.9, "--seed", seed).stdout
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    told = json.loads(
        run(clip, "what is said", *SHORT, "--beams", 2, "--logprobs", "--json").stdout
    )
    assert "".join(token["text"] for token in told["logprobs"]) == told["answer"]
    assert told["decoding"] == {"max_new_tokens": 6, "num_beams": 2}
    scored = run(clip, "is it loud", "--choices", "yes,no", "--scores").stdout
    assert scored.count("%") == 2
    with pytest.raises(UserError, match="seed is of draws"):
        run(clip, "what is said", "--seed", 1)
    with pytest.raises(UserError, match="give either"):
        run(clip, "what is said", "--temperature", 1, "--beams", 2)


def test_the_model_is_loaded_where_and_as_it_is_asked_for(run, clip, checkpoint):
    run(clip, "what is said", *SHORT, "--precision", "bf16", "--device", "cpu")
    assert run.loaded == [(str(checkpoint), "cpu", "bf16")]


def test_a_task_asks_its_own_question_and_its_answer_is_read(run, clip):
    told = json.loads(run(clip, "--task", "ic", "--choices", "stop_it,go on", "--json").stdout)
    assert told["task"] == "ic" and told["parsed"] == told["answer"]
    assert told["answer"] in ("stop_it", "go on") and "stop_it, go on" in told["instruction"]
    joint = json.loads(run(clip, "--task", "asr+kwe", *SHORT, "--json").stdout)
    assert "=== Task: ASR ===" in joint["instruction"] and joint["parsed"] is None
    unread = run(clip, "--task", "asr+kwe", *SHORT)
    assert "cannot be read as an answer to task 'asr+kwe'" in unread.stderr
    assert unread.stdout.strip() == joint["answer"]
    for wrong, told in (
        (("--task", "ic", "what is said"), "in words, or the --task"),
        ((), "in words, or the --task"),
        (("--task", "asr", "--choices", "a,b"), "answered freely"),
        (("--task", "kws"), "ask in your own words"),
        (("--task", "er", "--regex", "a+"), "says itself"),
    ):
        with pytest.raises((UserError, TaskError), match=told):
            run(clip, *wrong)


def test_a_task_of_the_users_own_file_is_asked(run, clip, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from speechverse.tasks import LabelSet, OneOf, PromptSet, Task, parse_label\n"
        "TONE = Task(name='tone', title='Tone', group='mine', metrics=('accuracy',),\n"
        "    prompts=PromptSet(seen=('Is the tone warm or cold?',)), parser=parse_label,\n"
        "    labels=LabelSet('tone', {'warm': '', 'cold': ''}), constraint=OneOf,\n"
        "    target=lambda utterance: utterance.labels['tone'])\n"
    )
    told = json.loads(run(clip, "--task", f"{tmp_path / 'mine.py'}:TONE", "--json").stdout)
    assert told["parsed"] in ("warm", "cold") and told["task"] == "tone"


# A folder


def test_every_clip_of_a_folder_is_answered_and_bad_ones_are_counted(run, folder, tmp_path):
    output = tmp_path / "out" / "answers.jsonl"
    result = run(folder, "what is said", *SHORT, "--output", output)
    assert result.exit_code == 1 and "1 of 4 clips failed" in result.stderr
    assert "left out, not named as audio is: 1 of the files" in result.stderr
    records = lines(output)
    names = ["a.flac", "b.wav", "broken.wav", "old/c.wav"]
    assert [record["clip"] for record in records] == [str(folder / name) for name in names]
    assert [record for record in records if "error" in record] == [records[2]]
    assert all(record["instruction"] == "what is said" for record in records)
    printed = run(folder, "what is said", *SHORT, "--output", output, "--json").stdout
    assert json.loads(printed)["clip"] == str(folder / "broken.wav"), "the one that is tried again"
    with pytest.raises(UserError, match="say where its answers go"):
        run(folder, "what is said")


def test_links_to_folders_are_followed_and_hidden_folders_left_alone(run, folder, tmp_path):
    (folder / "broken.wav").unlink()
    sound = Waveform(np.full(8000, 0.1, dtype=np.float32))
    save(tmp_path / "elsewhere" / "d.wav", sound)
    save(folder / ".hidden" / "e.wav", sound)
    (folder / "more").symlink_to(tmp_path / "elsewhere")
    run(folder, "what is said", *SHORT, "--output", tmp_path / "answers.jsonl")
    names = ["a.flac", "b.wav", "more/d.wav", "old/c.wav"]
    told = [record["clip"] for record in lines(tmp_path / "answers.jsonl")]
    assert sorted(told) == [str(folder / name) for name in names]


def test_a_folder_is_gone_on_with_and_what_failed_is_tried_again(run, folder, model, tmp_path):
    output = tmp_path / "answers.jsonl"
    run(folder, "what is said", *SHORT, "--output", output)
    first = lines(output)
    killed = "".join(json.dumps(record) + "\n" for record in first[:1])
    output.write_text(killed + json.dumps(first[1])[:30])  # as kill -9 may leave it
    save(folder / "broken.wav", Waveform(np.full(8000, 0.1, dtype=np.float32)))
    result = run(folder, "what is said", *SHORT, "--output", output)
    assert result.exit_code == 0 and "found 1 of 4 answers" in result.stderr
    again = lines(output)
    assert again[0] == first[0] and len(again) == 4
    assert {one["clip"] for one in again} == {one["clip"] for one in first}
    done = output.read_bytes()
    assert "4 answers" in run(folder, "what is said", *SHORT, "--output", output).stderr
    assert output.read_bytes() == done


def test_draws_of_a_folder_do_not_depend_on_where_it_was_stopped(run, folder, tmp_path):
    output, how = tmp_path / "answers.jsonl", (*SHORT, "--temperature", 2, "--seed", 5)
    (folder / "broken.wav").unlink()
    run(folder, "what is said", *how, "--output", output)
    whole = output.read_text()
    output.write_text("".join(whole.splitlines(keepends=True)[:1]))
    run(folder, "what is said", *how, "--output", output)
    assert output.read_text() == whole


def test_answers_to_another_question_are_not_mixed_in(run, folder, tmp_path):
    output = tmp_path / "answers.jsonl"
    (folder / "broken.wav").unlink()
    run(folder, "is it loud", "--choices", "yes,no", "--output", output)
    before = output.read_bytes()
    for other, told in (
        (("who speaks", "--choices", "yes,no"), "its instruction is .is it loud., now it is"),
        (("is it loud", "--choices", "yes,maybe"), "its choices is"),
        (("is it loud",), "now it is not given"),
        (("is it loud", "--choices", "yes,no", "--logprobs"), "its with_logprobs is"),
        (("is it loud", "--choices", "yes,no", "--beams", 2), "its decoding is not given"),
        (("is it loud", "--choices", "yes,no", "--precision", "bf16"), "its precision is"),
    ):
        with pytest.raises(UserError, match=told):
            run(folder, *other, "--output", output)
    assert output.read_bytes() == before
    with pytest.raises(UserError, match="is a folder: name a file in it"):
        run(folder, "is it loud", "--output", tmp_path)
    output.write_text("my own notes\n")
    with pytest.raises(UserError, match="line 1 is no answer"):
        run(folder, "is it loud", "--output", output)


def test_two_runs_do_not_write_to_one_file(run, folder, tmp_path):
    from filelock import FileLock

    output = tmp_path / "answers.jsonl"
    with FileLock(tmp_path / ".answers.jsonl.lock"), pytest.raises(UserError, match="another run"):
        run(folder, "what is said", "--output", output)


def test_a_folder_without_clips_is_refused(run, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no audio file among the 0 files"):
        run(tmp_path / "empty", "what is said", "--output", tmp_path / "answers.jsonl")


def test_a_cascade_refuses_options_that_its_choices_leave_no_room_for(model, clip):
    reader = WhisperReader(model, whisper=None)  # refused before anything is heard
    with pytest.raises(UserError, match="stop shape free answers"):
        reader.ask(clip, "what is said", CHOICES, DecodingOptions(stop=("yes",)))


def test_a_recording_longer_than_the_model_hears_is_asked_about_in_parts(run, tmp_path):
    noise = (np.random.default_rng(2).standard_normal(16_000 * 5) * 0.1).astype(np.float32)
    long = save(tmp_path / "long.wav", Waveform(noise))
    asked = (long, "Which?", "--choices", "yes,no")
    done = run(*asked, "--json")
    told = json.loads(done.stdout)
    assert told["answer"] in ("yes", "no")
    assert len(told["parts"]) >= 3
    assert all(part["answer"] in ("yes", "no") for part in told["parts"])
    assert told["parts"][0]["start"] == 0 and told["parts"][-1]["end"] == pytest.approx(5.0)
    assert "lasts 5 s" in done.stderr and f"{len(told['parts'])} parts" in done.stderr
    with pytest.raises(UserError, match="leave out --logprobs"):
        run(*asked, "--logprobs")
    streamed = run(*asked, "--stream")
    assert streamed.stdout.strip() == told["answer"] and "lasts 5 s" in streamed.stderr


def test_a_longer_recording_in_a_folder_is_asked_about_in_parts_as_alone(run, folder, tmp_path):
    noise = (np.random.default_rng(2).standard_normal(16_000 * 3) * 0.1).astype(np.float32)
    (folder / "broken.wav").unlink()
    long = save(folder / "aa.wav", Waveform(noise))
    asked, output = ("Which?", "--choices", "yes,no"), tmp_path / "answers.jsonl"
    alone = json.loads(run(long, *asked, "--json").stdout)
    done = run(folder, *asked, "--output", output)
    written = lines(output)
    assert done.exit_code == 0 and f"'{long}' lasts 3 s" in done.stderr
    assert [one["clip"] for one in written] == sorted(one["clip"] for one in written)
    [whole] = [one for one in written if one["clip"] == str(long)]
    assert (whole["answer"], whole["parts"]) == (alone["answer"], alone["parts"])
    assert sum("parts" in one for one in written) == 1
