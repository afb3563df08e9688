"""The log-mel classifier: it tells what the sound alone gives away, on speakers it was not fitted
on, and no more.
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from speechverse.audio import Waveform, save
from speechverse.data import Corpus
from speechverse.evaluation import EvaluationSettings, evaluate, load_answers, without_words
from speechverse.evaluation.parts import Parts
from speechverse.evaluation.without_words import LogMel
from speechverse.tasks import Ask, get_task
from speechverse.types import AudioRef, Utterance

SETTINGS = EvaluationSettings(tasks=("asc",), systems=("log-mel", "majority"), num_resamples=50)


def clips(folder: Path, number: int, told_by: str) -> list[Utterance]:
    """Noise clips: loud ones are positive, or nothing but the voice's name tells."""
    draw, made = np.random.default_rng(len(folder.name)), []
    for index in range(number):
        positive, speaker = index % 2 == 0, f"{folder.name}-{index % 10}"
        loud = positive if told_by == "level" else draw.random() < 0.5
        samples = (draw.standard_normal(8000) * (0.2 if loud else 0.02)).astype(np.float32)
        path = save(folder / f"{index}.wav", Waveform(samples))
        labels = {"sentiment": "positive" if positive else "negative"}
        made.append(
            Utterance(
                f"{folder.name}-{index}", AudioRef(path), 0.5, "some words", speaker, "en", labels
            )
        )
    return made


@pytest.fixture
def folder(tmp_path: Path):
    def make(name: str) -> Path:
        (tmp_path / name).mkdir()
        return tmp_path / name

    return make


@pytest.mark.parametrize("with_training", [True, False])
@pytest.mark.parametrize(("told_by", "low", "high"), [("level", 0.99, 1.0), ("nothing", 0.3, 0.7)])
def test_only_what_the_sound_tells_is_told(folder, loaded, with_training, told_by, low, high):
    splits = {
        name: clips(folder(name), 60, told_by)
        for name in (["train"] if with_training else []) + ["test"]
    }
    results = evaluate(*loaded, Corpus("noises", {}, _sources=splits), SETTINGS)
    assert low <= results.score("asc", "log-mel").value <= high
    assert results.score("asc", "majority").value == 0.5
    assert [note.split(":")[0] for note in results.notes] == (
        [] if with_training else ["log-mel", "majority"]
    )


def test_nobody_who_is_tested_is_fitted_on(folder, monkeypatch):
    task, tested = get_task("asc"), clips(folder("test"), 40, "level")
    examples = [task.render(clip, Ask(random.Random(0))) for clip in tested]
    asked: list[set[str]] = []

    def told(self: LogMel, fitted, rows):
        voices = [{example.utterance.speaker for example in part} for part in (fitted, rows)]
        asked.append(voices[1])
        assert voices[0] and voices[0].isdisjoint(voices[1])
        return [example.target for example in rows]

    monkeypatch.setattr(LogMel, "_predict", told)
    answers = LogMel(Parts(None, None, None)).answer(examples)
    assert [made.text for made in answers] == [example.target for example in examples]
    assert set().union(*asked) == {clip.speaker for clip in tested} and len(asked) > 1


def test_a_pair_s_voices_are_both_kept_apart(folder, monkeypatch):
    task, alone = get_task("asc"), clips(folder("test"), 40, "level")
    pairs = [
        replace(clip, id=f"{clip.id}+", speaker=f"{clip.speaker}+{other.speaker}")
        for clip, other in zip(alone, reversed(alone), strict=True)
    ]
    examples = [task.render(clip, Ask(random.Random(0))) for clip in [*alone, *pairs]]

    def told(self: LogMel, fitted, rows):
        voices = [
            {name for ex in part for name in ex.utterance.speaker.split("+")}
            for part in (fitted, rows)
        ]
        assert voices[0] and voices[0].isdisjoint(voices[1])
        return [example.target for example in rows]

    monkeypatch.setattr(LogMel, "_predict", told)
    answers = LogMel(Parts(None, None, None)).answer(examples)
    assert [made.text for made in answers] == [example.target for example in examples]


def test_a_voice_in_all_clips_leaves_nothing_to_fit_on(folder):
    task, alone = get_task("asc"), clips(folder("test"), 40, "level")
    examples = [
        task.render(replace(clip, speaker=f"agent+{number}"), Ask(random.Random(0)))
        for number, clip in enumerate(alone)
    ]
    answers = LogMel(Parts(None, None, None)).answer(examples)
    assert {made.text for made in answers} == {"negative"}, (
        "as often as the other, so the first by name"
    )


def test_a_training_split_sorted_by_class_is_fitted_on_all_of_them(folder, monkeypatch):
    task, train = (
        get_task("asc"),
        sorted(clips(folder("train"), 40, "level"), key=lambda u: u.labels["sentiment"]),
    )
    examples = [task.render(clip, Ask(random.Random(0))) for clip in train]
    fitted_on: list[str] = []

    def told(self: LogMel, fitted, rows):
        fitted_on.extend(example.target for example in fitted)
        return ["positive"] * len(rows)

    monkeypatch.setattr(LogMel, "_predict", told)
    monkeypatch.setattr(without_words, "_FITTED_ON", 20)
    LogMel(Parts(None, None, None, training_examples=lambda name: examples)).answer(examples[:1])
    assert len(fitted_on) == 20 and set(fitted_on) == {"positive", "negative"}


def test_a_training_clip_that_cannot_be_heard_is_left_out(folder, loaded, tmp_path, caplog):
    train, test = clips(folder("train"), 40, "level"), clips(folder("test"), 40, "level")
    (tmp_path / "broken.wav").write_text("no sound")
    train[3] = replace(train[3], audio=AudioRef(tmp_path / "broken.wav"))
    results = evaluate(
        *loaded, Corpus("noises", {}, _sources={"train": train, "test": test}), SETTINGS
    )
    assert results.score("asc", "log-mel").value > 0.99
    assert "train-3 is not fitted on" in caplog.text


def test_clips_of_two_splits_may_have_the_same_ids(folder, loaded):
    train, test = clips(folder("train"), 40, "level"), clips(folder("test"), 40, "level")
    quiet_first = [replace(clip, id=train[number].id) for number, clip in enumerate(reversed(test))]
    results = evaluate(
        *loaded, Corpus("noises", {}, _sources={"train": train, "test": quiet_first}), SETTINGS
    )
    assert results.score("asc", "log-mel").value > 0.99


def test_answers_of_one_kind_only_leave_nothing_to_fit(folder, loaded, tmp_path):
    of_one_kind = [
        clip
        for clip in clips(folder("test"), 20, "level")
        if clip.labels["sentiment"] == "positive"
    ]
    evaluate(
        *loaded, Corpus("noises", {}, _sources={"test": of_one_kind}), SETTINGS, output=tmp_path
    )
    assert {record.answer for record in load_answers(tmp_path)} == {"positive"}
