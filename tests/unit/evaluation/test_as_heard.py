"""A quiet end that the model does not know: left out for all systems, of what is asked and scored."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from speechverse.audio import Waveform, load, save
from speechverse.clips import Clips
from speechverse.data import Corpus
from speechverse.data.quiet_ends import WithoutQuietEnds
from speechverse.evaluation import EvaluationSettings, evaluate
from speechverse.evaluation.results import load_answers
from speechverse.evaluation.runner import _training_examples
from speechverse.models import SpeechVerseForConditionalGeneration
from speechverse.pipeline import SpeechVerse
from speechverse.types import AudioRef

QUIET = np.zeros(4 * 16_000, np.float32)
"""With which a clip is longer than the model hears."""


@pytest.fixture(scope="module")
def model(checkpoint):
    made = SpeechVerseForConditionalGeneration.from_pretrained(checkpoint)
    made.config.choose(quiet_end=0.3)
    return made


@pytest.fixture(scope="module")
def files(corpus, tmp_path_factory):
    """A clip as it is, and with a long quiet end."""
    folder = tmp_path_factory.mktemp("quiet")
    samples = load(corpus.utterances("test")[0].audio).samples
    save(folder / "quiet.wav", Waveform(np.concatenate([samples, QUIET])))
    save(folder / "short.wav", Waveform(np.concatenate([samples, QUIET[: 16_000 * 3 // 10]])))
    lines = [
        {"audio": f"{name}.wav", "text": name, "emotion": "sad"} for name in ("quiet", "short")
    ]
    (folder / "test.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_a_quiet_end_changes_no_answer_and_does_not_make_a_clip_too_long(model, files) -> None:
    asked = SpeechVerse(model)
    long, short = (str(files / f"{name}.wav") for name in ("quiet", "short"))
    sounds = [long, short, Clips(long, short), Clips(short, short)]
    texts = ["Say.", "Say.", *["<|audio|> or <|audio|>?"] * 2]
    answers = [answer.text for answer in asked.ask(sounds, texts, max_new_tokens=6)]
    assert answers[0] == answers[1] and answers[2] == answers[3]


def test_every_system_is_measured_on_what_is_heard(model, files, tmp_path) -> None:
    corpus = Corpus.from_jsonl("quiet", {"test": files / "test.jsonl"})
    settings = EvaluationSettings(
        tasks=("asr", "er"), systems=("speechverse", "cascade", "log-mel"), num_resamples=10
    )
    evaluate(model, model.processor(), corpus, settings, output=tmp_path)
    by_system: dict = {}
    for record in load_answers(tmp_path):
        by_system.setdefault((record.system, record.task), []).append(record)
    assert len(by_system) >= 5
    for first, second in by_system.values():
        assert first.answer == second.answer
        assert first.clip.duration == pytest.approx(0.9, abs=0.03)


def test_who_is_fitted_hears_training_clips_as_the_model_hears_them(model, files) -> None:
    splits = {"train": files / "test.jsonl", "test": files / "test.jsonl"}
    of = _training_examples(
        Corpus.from_jsonl("quiet", splits), EvaluationSettings(), model.config.quiet_end
    )
    assert [one.utterance.duration for one in of("er")] == pytest.approx([0.9, 0.9], abs=0.03)


def test_without_a_limit_clips_are_as_they_were_and_with_one_only_longer_ends_go(files) -> None:
    quiet, short = Corpus.from_jsonl("quiet", {"test": files / "test.jsonl"}).utterances("test")
    assert WithoutQuietEnds(None)(quiet) is quiet
    heard = WithoutQuietEnds(0.3)
    assert heard(short) == short and heard(quiet) != quiet
    samples = np.random.default_rng(0).standard_normal(44_100).astype(np.float32) * 0.1
    soundfile.write(files / "full.wav", samples[:30_011], 44_100)  # no whole number of samples here
    full = replace(short, audio=AudioRef(files / "full.wav"), duration=30_011 / 44_100)
    assert heard(full) is full
    gone = replace(quiet, audio=AudioRef(files / "gone.wav"))
    assert heard(gone) == gone  # who needs it tells
    both = heard(replace(short, beside=(quiet,)))
    assert [clip.duration for clip in both.clips] == [short.duration, heard(quiet).duration]
