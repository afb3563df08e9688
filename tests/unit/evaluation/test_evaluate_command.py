"""`speechverse evaluate`: what its options come to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from running import speechverse
from speechverse.cli import evaluate as command
from speechverse.data import write_corpus
from speechverse.evaluation import calibration


@pytest.fixture(scope="module")
def place(corpus, tmp_path_factory):
    """The folder of a corpus to train and to test on."""
    folder = tmp_path_factory.mktemp("noises")
    clips = corpus.utterances("test")
    write_corpus(folder, "noises", {"train": clips[-2:], "test": clips[:-2]}, extra={"seed": 0})
    return folder


@pytest.fixture
def asked(monkeypatch, checkpoint, place, tmp_path):
    """Runs the command up to the evaluation itself: with what that would be made."""

    def with_options(*options: object) -> dict[str, Any]:
        made: dict[str, Any] = {}

        def run(model, opened, settings, output, **how):
            made.update(corpus=opened, settings=settings, how=how)
            raise SystemExit(0)

        monkeypatch.setattr(command, "run", run)
        where = ("--corpus", place, "--output", tmp_path / "out")
        speechverse("evaluate", checkpoint, *where, *options)
        return made

    return with_options


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ((), {"wording": "seen", "limit": 300}),
        (("--held-out",), {"wording": "held_out"}),
        (("--seen",), {"wording": "seen"}),
        (("--limit", 7), {"limit": 7}),
        (("--limit", 0), {"limit": None}),
        (("--tasks", "er,asr"), {"tasks": ("er", "asr")}),
        (("--systems", "oracle,majority"), {"systems": ("oracle", "majority")}),
        (("--seed", 5), {"seed": 5}),
        (("--choices-per-prompt", 4), {"choices_per_prompt": 4}),
        (("--no-descriptions",), {"descriptions": False}),
    ],
)
def test_options_reach_the_settings(asked, options, wanted):
    settings = asked(*options)["settings"]
    assert {name: getattr(settings, name) for name in wanted} == wanted


def test_options_of_decoding_and_of_loading_reach_where_they_count(asked):
    made = asked(
        *("--beams", 3, "--max-new-tokens", 9, "--choices", "score", "--scoring", "length"),
        *("--precision", "bf16", "--device", "cpu", "--cache", "keep"),
    )
    decoding = made["settings"].decoding
    assert (decoding.num_beams, decoding.max_new_tokens) == (3, 9)
    assert (decoding.choice_mode, decoding.choice_scoring) == ("score", "length")
    how = made["how"]
    assert (how["precision"], how["device"], how["cache"]) == ("bf16", "cpu", "keep")


def test_a_training_corpus_lends_its_training_part(asked, corpus, tmp_path):
    lent = corpus.utterances("test")[-1:]
    write_corpus(tmp_path / "other", "other", {"train": lent})
    made = asked("--training-corpus", tmp_path / "other")["corpus"]
    assert [clip.id for clip in made.utterances("train")] == [clip.id for clip in lent]
    assert len(made.utterances("test")) == len(corpus.utterances("test")) - 2


@pytest.mark.parametrize("option", ["--cascade-lora", "--training-corpus"])
def test_what_no_system_would_look_at_is_refused(checkpoint, place, tmp_path, option):
    asked = ("--corpus", place, "--systems", "speechverse,oracle", "--output", tmp_path / "out")
    given = place if option == "--training-corpus" else tmp_path
    told = speechverse("evaluate", checkpoint, *asked, option, given, status=2).stderr
    assert f"{option} is for the systems" in " ".join(told.split())


def test_a_threshold_is_read_of_the_results_that_are_named(asked, monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(
        calibration, "thresholds_of", lambda folder, *about: seen.append(folder) or {"er": 0.5}
    )
    (tmp_path / "dev").mkdir()
    made = asked("--abstain", tmp_path / "dev", "--choices", "score")
    assert seen == [tmp_path / "dev"] and made["settings"].thresholds == {"er": 0.5}


def test_the_same_precision_is_loaded(checkpoint, place, tmp_path, monkeypatch):
    from speechverse import SpeechVerse

    loaded, real = [], SpeechVerse.from_pretrained
    monkeypatch.setattr(
        SpeechVerse, "from_pretrained", lambda *given: loaded.append(given) or real(given[0])
    )
    how = ("--tasks", "er", "--systems", "majority", "--limit", 2, "--precision", "bf16")
    told = speechverse(
        "evaluate", checkpoint, "--corpus", place, *how, "--output", tmp_path, "--json"
    )
    assert json.loads(told.stdout)["tasks"] and loaded == [(str(checkpoint), None, "bf16")]
