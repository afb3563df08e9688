"""The quickstart at its smallest: a microscopic model of Whisper's kind, a few clips, two steps of
its lesson.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from microscopic import byte_level, save_whisper, t5
from running import run_here
from speechverse.audio import Waveform, save
from speechverse.cli.quickstart.flow import (
    LOOKED_AT,
    Quickstart,
    Sizes,
    fetch,
    known_parts_of,
)
from speechverse.errors import UserError
from speechverse.evaluation import load_results
from speechverse.models import SpeechVerseForConditionalGeneration
from speechverse.pretrained import KNOWN, is_here

SENTENCES = ("play some jazz", "turn the light off", "what is the time", "call my mother now")
WHOLE = Sizes()
SIZES = Sizes(clips=8, asked=2, per_task=2, lesson_train=8, lesson_test=4)
STEPS = (
    "curriculum.lesson.steps=2",
    "curriculum.lesson.warmup_steps=1",
    "decoding.max_new_tokens=8",
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("model")
    torch.manual_seed(1)
    pieces = byte_level(SENTENCES, ["<pad>", "</s>", "<start>"])
    save_whisper(root / "whisper", pieces, seconds=10, init_std=0.6)
    t5(len(pieces)).save_pretrained(root / "llm")
    pieces.save_pretrained(root / "llm")
    made = SpeechVerseForConditionalGeneration.from_foundations(
        root / "whisper",
        root / "llm",
        layer_mixing="softmax",
        lora={"rank": 2},
        max_audio_seconds=10.0,
    )
    made.save_pretrained(root / "model")
    return root / "model"


@pytest.fixture(scope="module")
def own_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    samples = np.random.default_rng(0).standard_normal(16_000).astype(np.float32) * 0.1
    return save(tmp_path_factory.mktemp("own") / "me.wav", Waveform(samples))


def run(output: Path, model: Path, *clips: Path) -> str:
    """One run; gives what the terminal shows, in 100 columns."""
    console = Console(file=io.StringIO(), width=100)
    Quickstart(console, output, str(model), clips, SIZES, overrides=STEPS).run()
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def first(
    model: Path, own_clip: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    pytest.importorskip("espeakng_loader")
    output = tmp_path_factory.mktemp("first") / "quickstart"
    return output, run(output, model, own_clip)


def contents(output: Path) -> dict[str, tuple[int, bytes]]:
    kept = (
        "questions.json",
        "look/results.json",
        "lesson/before/results.json",
        "lesson/after/results.json",
    )
    kept += ("lesson/model/adapter.safetensors",)
    return {
        name: ((output / name).stat().st_mtime_ns, (output / name).read_bytes()) for name in kept
    }


def test_the_terminal_shows_answers_a_look_and_the_lesson(
    first: tuple[Path, str], own_clip: Path
) -> None:
    _, shown = first
    assert str(own_clip) in shown and "never heard in training" in shown
    assert "a look and not a measurement" in shown and "cascade-whisper" in shown
    assert "before" in shown and "after the lesson" in shown and "points" in shown
    assert "speechverse ask CLIP.wav" in shown and "timed apart" in shown


def test_made_clips_are_asked_with_their_right_answers_and_the_own_clip_without(
    first: tuple[Path, str],
) -> None:
    asked = list(json.loads((first[0] / "questions.json").read_text()).values())
    own, made = asked[0], asked[1:]
    assert own["speaker"] == "you" and not any(question["right"] for question in own["questions"])
    assert any("made voices alone" in question["title"] for question in own["questions"])
    assert [question["title"] for question in own["questions"]][:2] == ["transcript", "about"]
    assert len(made) == SIZES.asked and {len(clip["answers"]) for clip in asked} == {2}
    questions = [question for clip in made for question in clip["questions"]]
    assert any(question["right"] == "two" for question in questions)
    assert any(question["title"] == "wanted" for question in questions)


def test_the_look_puts_whisper_beside_the_model_on_six_tasks(first: tuple[Path, str]) -> None:
    results = load_results(first[0] / "look")
    assert {(score.task, score.system) for score in results.scores} == {
        (task, system) for task in LOOKED_AT for system in ("speechverse", "cascade-whisper")
    }


def test_the_lesson_is_tried_on_other_sentences_in_other_voices(first: tuple[Path, str]) -> None:
    from speechverse.data import Corpus

    corpus = Corpus.open(first[0] / "lesson" / "speech")
    learned, tried = corpus.utterances("train"), corpus.utterances("test")
    assert not {clip.text for clip in learned} & {clip.text for clip in tried}
    assert not {clip.speaker for clip in learned} & {clip.speaker for clip in tried}
    for clips in (learned, tried):
        assert {clip.labels["command"] for clip in clips} == {"clean", "fetch", "follow", "charge"}


def test_the_lesson_is_of_the_size_that_it_says(tmp_path: Path) -> None:
    from speechverse.cli.quickstart.lesson import write_sentences

    file = write_sentences(tmp_path / "lines.jsonl", WHOLE.lesson_train, WHOLE.lesson_test)
    lines = list(map(json.loads, file.read_text().splitlines()))
    count = Counter((line["split"], line["command"]) for line in lines)
    assert (
        set(count.values()) == {WHOLE.lesson_train // 4, WHOLE.lesson_test // 4} and len(count) == 8
    )
    assert len({line["text"] for line in lines}) == len(lines)


def test_the_page_is_one_file_and_fetches_nothing(first: tuple[Path, str]) -> None:
    page = (first[0] / "quickstart.html").read_text()
    for title in ("Questions", "Something new", "A look", "Next"):
        assert f"<h2>{title}</h2>" in page
    assert (
        "<svg" in page
        and 'src="http' not in page
        and "http-equiv" not in page
        and "A look and not a" in page
    )
    assert page.count("<audio") >= 1 + SIZES.asked and 'src="data:audio' in page, (
        "clips to hear, in the page"
    )


def test_what_is_there_is_passed_over(first: tuple[Path, str], model: Path) -> None:
    before = contents(first[0])
    shown = run(first[0], model)
    assert contents(first[0]) == before and "done" in shown


def test_a_run_that_was_killed_goes_on_from_its_whole_files(
    first: tuple[Path, str], model: Path
) -> None:
    before = contents(first[0])
    (first[0] / "lesson" / "after" / "results.json").unlink()
    (first[0] / "quickstart.html").unlink()
    kept = first[0] / "seconds.json"
    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"what was killed": 600.0}))
    shown = run(first[0], model)
    after = contents(first[0])
    assert [name for name in after if after[name][0] != before[name][0]] == [
        "lesson/after/results.json"
    ]
    assert (first[0] / "quickstart.html").is_file()
    assert "what was killed 600 s" in shown and "; together 10." in shown


def test_a_folder_of_another_quickstart_is_refused(first: tuple[Path, str], model: Path) -> None:
    with pytest.raises(UserError, match="begun with another seed.*--output"):
        Quickstart(Console(file=io.StringIO()), first[0], str(model), (), SIZES, 2, STEPS).run()


def test_offline_without_the_parts_one_command_is_named(tmp_path: Path) -> None:
    shown = run_here(
        "quickstart", "-o", tmp_path / "q", "--offline", SPEECHVERSE_CACHE=str(tmp_path / "cache")
    )
    assert shown.returncode == 2 and "Traceback" not in shown.stderr
    told = " ".join(shown.stderr.split())
    assert "`speechverse pretrained get whisper-base smollm2-135m-instruct`" in told
    assert "could not be fetched" not in told


def test_a_clip_that_cannot_be_heard_is_told_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "me.wav").write_text("no sound")
    shown = run_here("quickstart", "-o", tmp_path / "q", "--clip", tmp_path / "me.wav")
    assert shown.returncode == 2 and "me.wav" in shown.stderr and not (tmp_path / "q").exists()


def test_a_clip_too_long_to_be_asked_about_is_told_before_anything_is_made(tmp_path: Path) -> None:
    save(tmp_path / "me.wav", Waveform(np.full(31 * 16_000, 0.1, np.float32)))
    shown = run_here("quickstart", "-o", tmp_path / "q", "--clip", tmp_path / "me.wav", "--offline")
    told = " ".join(shown.stderr.split())
    assert shown.returncode == 2 and "lasts 31.0 s, and 'small' hears 30 s" in told
    assert not (tmp_path / "q" / "speech").exists()


@pytest.mark.real_parts
def test_parts_that_are_here_are_not_fetched_again() -> None:
    names = known_parts_of("small")
    assert names == ("whisper-base", "smollm2-135m-instruct")
    if not all(is_here(KNOWN[name]) for name in names):
        pytest.skip(
            "the parts of `small` are not in the cache; speechverse pretrained get "
            + " ".join(names)
        )
    assert fetch(names) == []
