"""The specialist hears what is in the encoder's outputs, order and all, on speakers that it was not
fitted on.
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from speechverse.data import Corpus
from speechverse.decoding import DecodingOptions
from speechverse.evaluation import EvaluationSettings, evaluate, load_answers, specialist
from speechverse.evaluation.cascades import WhisperCascade
from speechverse.evaluation.parts import Parts
from speechverse.evaluation.specialist import FrameSource, fit_specialist
from speechverse.evaluation.without_words import SpecialistSystem
from speechverse.tasks import Ask, get_task
from speechverse.types import Answer, AudioRef, Example, Utterance
from watching import Watched

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(specialist, "_HIDDEN", 24)


def examples(number: int, prefix: str = "u") -> list[Example]:
    made = []
    for index in range(number):
        labels = {"sentiment": ("positive", "negative")[index % 2]}
        clip = AudioRef(Path(f"{prefix}{index}.wav"))
        utterance = Utterance(
            f"{prefix}{index}", clip, 1.0, "words", f"{prefix}{index % 10}", "en", labels
        )
        made.append(get_task("asc").render(utterance, Ask(random.Random(0))))
    return made


def told_by_order(utterance: Utterance) -> torch.Tensor:
    """(2, 48, 8) at 50 Hz: the same frames, rising or falling, and noise; no mean over time tells
    them apart.
    """
    draw = torch.Generator().manual_seed(sum(utterance.id.encode()))
    rise = torch.linspace(-2, 2, 48) * (1 if utterance.labels["sentiment"] == "positive" else -1)
    return rise[:, None] * torch.linspace(1, -1, 8) + 0.3 * torch.randn(2, 48, 8, generator=draw)


def test_what_only_the_order_of_frames_tells_is_told_of_voices_never_heard() -> None:
    frames = FrameSource(told_by_order, 50.0)
    watched = Watched()
    fitted = fit_specialist(examples(80), frames, CPU, watch=watched)
    others = examples(40, "other")
    told = list(fitted.predict(others, frames))
    assert sum(name == example.target for name, example in zip(told, others, strict=True)) >= 38
    assert "M parameters" in fitted.cost and "epochs" in fitted.cost
    done, total, what = watched[-1]
    assert what == "specialist of asc, 40 epochs at most" and 0 < done <= total


def test_the_same_examples_give_the_same_classifier_and_leave_other_draws_alone() -> None:
    frames = FrameSource(told_by_order, 50.0)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first, second = (
        fit_specialist(examples(30), frames, CPU).network.state_dict() for _ in range(2)
    )
    assert all(torch.equal(weight, second[name]) for name, weight in first.items())
    assert torch.rand(1) == expected


def test_frames_are_averaged_to_the_llm_s_rate_and_heard_once() -> None:
    heard = []

    def hear(utterance: Utterance) -> torch.Tensor:
        heard.append(utterance.id)
        return torch.arange(10.0)[None, :, None]

    frames = FrameSource(hear, 50.0)
    [example] = examples(1)
    assert frames(example).flatten().tolist() == [1.5, 5.5, 8.5]
    assert torch.equal(frames(example), frames(example)) and heard == ["u0"]


def test_nobody_who_is_validated_on_is_fitted_on() -> None:
    fitted, held = specialist._held_out(examples(40), seed=0)
    voices = [{example.utterance.speaker for example in part} for part in (fitted, held)]
    assert voices[0].isdisjoint(voices[1]) and voices[1]
    alone = [replace(e, utterance=replace(e.utterance, speaker="one")) for e in examples(40)]
    fitted, held = specialist._held_out(alone, seed=0)
    assert len(fitted) + len(held) == 40 and 4 <= len(held) <= 8


def test_it_is_measured_on_closed_tasks_with_a_training_split_and_tells_its_cost(
    loaded, corpus, tmp_path
) -> None:
    tasks = ("asr", "er", "sns")
    settings = EvaluationSettings(tasks=tasks, systems=("specialist", "majority"), num_resamples=20)
    results = evaluate(*loaded, corpus, settings, output=tmp_path, features=tmp_path / "features")
    assert results.score("er", "specialist") and results.score("sns", "specialist")
    assert results.score("asr", "specialist") is None
    assert "er by specialist: 0." in " ".join(results.notes)
    anew = evaluate(*loaded, corpus, settings, output=tmp_path / "anew")
    answers = [
        {(r.example, r.answer) for r in load_answers(place)}
        for place in (tmp_path, tmp_path / "anew")
    ]
    assert answers[0] == answers[1] and anew.score("er", "specialist") == results.score(
        "er", "specialist"
    )


@pytest.mark.parametrize(
    ("text", "keyword", "answer"),
    [
        ("Wake me at 7.", "seven", "yes"),
        ("Set it to 20%.", "twenty percent", "yes"),
        ("I don’t know", "don't", "yes"),
        ("Uh, turn it on", "uh", "yes"),
        ("Turn the light on", "lights", "no"),
        ("", "seven", "no"),
    ],
)
def test_a_keyword_is_found_however_whisper_writes_it(
    loaded, corpus, monkeypatch, text, keyword, answer
) -> None:
    monkeypatch.setattr(WhisperCascade, "_write", lambda self, some: [Answer(text) for _ in some])
    clip = corpus.utterances("test")[0]
    example = Example("0", clip, "kws", "Is it said?", "", "", fields={"keyword": keyword})
    [made] = SpecialistSystem(Parts(*loaded, DecodingOptions())).answer([example])
    assert (made.text, made.transcript) == (answer, text)


def test_without_a_training_split_it_is_not_measured(loaded, corpus) -> None:
    settings = EvaluationSettings(
        tasks=("er",), systems=("specialist", "majority"), num_resamples=20
    )
    results = evaluate(
        *loaded, Corpus("bare", {}, _sources={"test": corpus.utterances("test")}), settings
    )
    assert results.score("er", "specialist") is None
    assert [
        note
        for note in results.notes
        if note.startswith("er by specialist: not measured: no training split")
    ]


def test_a_test_set_is_measured_by_one_that_knows_another_corpus(loaded, corpus) -> None:
    settings = EvaluationSettings(tasks=("er",), systems=("specialist",), num_resamples=20)
    bare = Corpus("bare", corpus.labels, _sources={"test": corpus.utterances("test")})
    assert evaluate(*loaded, bare.trained_on(corpus), settings).score("er", "specialist")
