"""Linear probes: a planted signal is found, chance is chance, and batches change nothing."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from microscopic import conformer, encoder_of
from speechverse.audio import Waveform, save
from speechverse.cli import build_app
from speechverse.data import write_corpus
from speechverse.encoders import SpeechEncoder
from speechverse.evaluation.ledger import ledger_file
from speechverse.evaluation.linear import fit_linear
from speechverse.evaluation.probes import ProbeColumn, ProbeTable, pool_layers, probe_encoder
from speechverse.evaluation.probes.targets import find_targets
from speechverse.metrics import Interval
from speechverse.types import AudioRef, Utterance

RATE = 16_000
BANDS = ((250.0, 330.0, 420.0, 560.0), (1500.0, 2000.0, 2600.0, 3300.0))
MakeClips = Callable[[str, int], list[Utterance]]


@pytest.fixture(scope="module")
def encoder() -> SpeechEncoder:
    torch.manual_seed(0)
    return encoder_of(conformer(hidden_size=32))


@pytest.fixture(scope="module")
def make_clips(tmp_path_factory: pytest.TempPathFactory) -> MakeClips:
    """A low and a high chord in bursts: together (sad) or in turn (happy); the rhythm is the
    speaker.

    No bin alone tells the emotion: the encoder, which hears normalised bins, must find it between
    them.
    """
    folder = tmp_path_factory.mktemp("clips")

    def make(part: str, count: int) -> list[Utterance]:
        rng, draw = np.random.default_rng(len(part)), random.Random(part)
        clips = []
        for index in range(count):
            emotion, voice = draw.choice(["happy", "sad"]), index % 4
            seconds = draw.uniform(1.0, 1.6)
            time = np.arange(int(seconds * RATE)) / RATE
            low, high = (sum(np.sin(2 * np.pi * pitch * time) for pitch in band) for band in BANDS)
            burst = np.sin(2 * np.pi * (1 + 1.5 * voice) * time) > 0
            chords = low * burst + high * (burst if emotion == "sad" else ~burst)
            sound = 0.05 * chords + 0.005 * rng.standard_normal(len(time))
            path = save(folder / f"{part}-{index}.flac", Waveform(sound.astype(np.float32), RATE))
            labels = {"emotion": emotion, "accent": draw.choice("ab"), "num_speakers": 1}
            said = f"the {'lamp' if emotion == 'happy' else 'window'} {index}"
            clips.append(
                Utterance(
                    f"{part}-{index}",
                    AudioRef(Path(path)),
                    seconds,
                    said,
                    f"{part}{voice}",
                    "en",
                    labels,
                )
            )
        return clips

    return make


@pytest.fixture(scope="module")
def table(encoder: SpeechEncoder, make_clips: MakeClips) -> ProbeTable:
    return probe_encoder(encoder, make_clips("train", 80), make_clips("test", 60), name="micro")


def column(table: ProbeTable, name: str) -> ProbeColumn:
    return next(column for column in table.columns if column.name == name)


def best(column: ProbeColumn) -> Interval:
    return column.scores[column.best_layer]


def test_a_planted_signal_is_found_and_a_random_label_is_not(table: ProbeTable) -> None:
    emotion, accent = column(table, "emotion"), column(table, "accent")
    assert best(emotion).low > 0.9
    assert all(score.low - 0.1 <= accent.chance <= score.high + 0.1 for score in accent.scores)
    assert emotion.chance == accent.chance == 0.5


def test_speakers_are_told_apart(table: ProbeTable) -> None:
    speaker = column(table, "speaker")
    assert speaker.chance == 0.25
    assert best(speaker).low > 0.5
    assert speaker.num_fit + speaker.num_test == 60


def test_every_layer_has_a_row_and_the_frames_before_them_too(table: ProbeTable) -> None:
    assert table.layers == ("log-mel", "1", "2")
    told = table.as_dict()
    assert [len(probe["scores"]) for probe in told["probes"].values()] == [3] * 3
    assert json.loads(json.dumps(told)) == told


def test_what_has_no_labels_is_left_out_with_its_reason(table: ProbeTable) -> None:
    assert set(table.skipped) == {"num_speakers", "is_speech"}
    assert "fewer than two" in table.skipped["is_speech"]


def test_the_size_of_a_batch_does_not_matter(encoder: SpeechEncoder, make_clips: MakeClips) -> None:
    clips = make_clips("batch", 7)
    together, alone = (
        pool_layers(encoder, clips, batch_seconds=seconds) for seconds in (60.0, 0.01)
    )
    assert len(together) == 3
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_kinds_that_were_never_fitted_are_not_tested_and_are_told() -> None:
    def clip(number: int, accent: str) -> Utterance:
        labels = {"accent": accent, "num_speakers": "1"}
        return Utterance(f"c{number}", AudioRef(Path("x")), 1.0, labels=labels)

    fit = {row: clip(row, "ab"[row % 2]) for row in range(4)}
    test = {row: clip(row, "abcd"[row % 4]) for row in range(4, 12)}
    [accent], why = find_targets(fit, test)
    assert [accent.answers[row] for row in accent.test] == ["a", "b", "a", "b"]
    assert accent.chance == 0.5
    assert why["accent of 'c', 'd'"] == "4 clips to test, none to fit"


def test_a_sentence_is_not_on_both_sides_of_the_speaker_probe(make_clips: MakeClips) -> None:
    clips = [
        Utterance(
            f"c{n}",
            AudioRef(Path("x")),
            1.0,
            f"sentence {n % 7}",
            f"s{n % 3}",
            labels={"num_speakers": 1},
        )
        for n in range(42)
    ]
    questions, _ = find_targets({}, dict(enumerate(clips)))
    speaker = next(question for question in questions if question.name == "speaker")
    fit, test = speaker.fit, speaker.test
    assert {clips[row].text for row in fit}.isdisjoint(clips[row].text for row in test)
    assert {clips[row].speaker for row in fit} == {clips[row].speaker for row in test}


def test_rare_classes_weigh_as_much_as_common_ones() -> None:
    features = np.array([[0.0]] * 50 + [[1.0]] * 2 + [[0.0]] * 2)
    probe = fit_linear(features, ["common"] * 50 + ["rare"] * 4, penalty=1e-3)
    assert list(probe.predict(np.array([[1.0], [0.0]]))) == ["rare", "common"]


def test_the_verb_compares_encoders_and_writes_json(
    encoder: SpeechEncoder,
    make_clips: MakeClips,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder, corpus, output = tmp_path / "micro", tmp_path / "corpus", tmp_path / "probes.json"
    encoder.model.save_pretrained(folder)
    encoder.front_end.feature_extractor.save_pretrained(folder)
    write_corpus(corpus, "tones", {"train": make_clips("train", 20), "dev": make_clips("test", 20)})
    arguments = ["probe", str(folder), str(folder), "--corpus", str(corpus), "-o", str(output)]
    result = CliRunner().invoke(build_app(), arguments)
    assert result.exit_code == 0, result.output
    assert "emotion" in result.stdout
    looks = [json.loads(line) for line in ledger_file().read_text().splitlines()]
    assert [(look["model"], look["split"]) for look in looks] == [(str(folder), "dev")] * 2
    found = json.loads(output.read_text())
    assert found["fit"]["split"] == "train" and found["test"]["split"] == "dev"
    assert found["encoders"][0] == found["encoders"][1]
    assert "no CTC head" in found["encoders"][0]["not_transcribed"]
