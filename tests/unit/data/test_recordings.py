"""A folder of recordings as a corpus, and the batches that an encoder is trained on."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from speechverse.audio import Waveform, load, save
from speechverse.data import Corpus, FrameCollator, corpus_of_recordings, frames_of
from speechverse.encoders.best_rq.config import ConformerConfig
from speechverse.encoders.best_rq.pieces import learn_pieces
from speechverse.encoders.best_rq.pretraining import front_end
from speechverse.errors import AudioError, CorpusError
from speechverse.tasks import Ask, get_task
from speechverse.types import IGNORED, AudioRef, Example, Seconds, Utterance

FRONT_END = front_end(
    ConformerConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
)


def noise(path: Path, seconds: Seconds) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(path.name))
    return Path(
        save(path, Waveform(rng.normal(0, 0.1, round(seconds * 16_000)).astype(np.float32), 16_000))
    )


def of(folder: Path) -> Corpus:
    return corpus_of_recordings("own", folder, longest=2.0)


def test_every_audio_file_below_the_folder_is_a_clip(tmp_path: Path) -> None:
    for name in ("a.flac", "day/b.wav", ".hidden.wav", ".old/c.wav"):
        noise(tmp_path / name, 1.0)
    (tmp_path / "notes.txt").write_text("not audio")
    clips = of(tmp_path).utterances("train")
    assert [(clip.id, clip.speaker, clip.duration) for clip in clips] == [
        ("a.flac", "a.flac", 1.0),
        ("day/b.wav", "day/b.wav", 1.0),
    ]


def test_a_long_recording_is_cut_into_windows_that_hold_all_of_it(tmp_path: Path) -> None:
    path = noise(tmp_path / "long.flac", 7.3)
    clips = of(tmp_path).utterances("train")
    assert len(clips) == 4 and all(1.8 < clip.duration <= 2.0 for clip in clips)
    samples = np.concatenate([load(clip.audio).samples for clip in clips])
    assert abs(len(samples) - len(load(AudioRef(path)).samples)) <= 4
    held_out = of(tmp_path / ".").with_validation(0.5, by="utterance")
    assert held_out.utterances("validation") and held_out.utterances("train")


def test_what_is_too_short_or_unreadable_is_left_out_and_told(tmp_path: Path) -> None:
    noise(tmp_path / "good.wav", 1.0)
    noise(tmp_path / "short.wav", 0.2)
    (tmp_path / "broken.mp3").write_bytes(b"no sound at all")
    corpus = of(tmp_path)
    assert [clip.id for clip in corpus.utterances("train")] == ["good.wav"]
    assert set(corpus.skipped["train"]) == {"short.wav", "broken.mp3"}


def test_too_many_unreadable_files_are_refused(tmp_path: Path) -> None:
    noise(tmp_path / "good.wav", 1.0)
    for number in range(2):
        (tmp_path / f"broken-{number}.wav").write_bytes(b"RIFF, but no more")
    with pytest.raises(
        CorpusError, match=r"2 of 3 clips cannot be used.*broken-0\.wav.*broken-1\.wav"
    ):
        of(tmp_path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds no audio file.*it is empty"),
        ({"a.txt": None, "b.txt": None}, r"holds no audio file.*2 \.txt"),
        ({"a.wav": 0.1}, r"1 of 1 clips cannot be used .* shorter than 0\.3 s"),
    ],
    ids=["empty", "no audio", "too short"],
)
def test_a_folder_without_anything_to_hear(tmp_path: Path, files: dict, message: str) -> None:
    (tmp_path / "audio").mkdir()
    for name, seconds in files.items():
        place = tmp_path / "audio" / name
        noise(place, seconds) if seconds else place.write_text("x")
    with pytest.raises(CorpusError, match=message):
        of(tmp_path / "audio")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="does not exist; 'audio' names a folder"):
        of(tmp_path / "none")


def examples(folder: Path, **seconds: Seconds) -> list[Example]:
    clips = [
        Utterance(n, AudioRef(noise(folder / f"{n}.wav", s)), s, "tea for two")
        for n, s in seconds.items()
    ]
    return [get_task("asr").render(clip, Ask(random.Random(0))) for clip in clips]


def test_frames_are_labelled_up_to_each_clips_length(tmp_path: Path) -> None:
    some = examples(tmp_path, long=1.0, short=0.5)
    batch = FrameCollator(FRONT_END)(some)
    length = frames_of(FRONT_END, 2.0)
    assert (
        (batch.inputs["labels"] != IGNORED).sum(1).tolist()
        == [length(example) for example in some]
        == [25, 12]
    )
    assert batch.inputs["input_features"].shape == (2, 25, 320)


def test_pieces_are_the_labels_of_ctc_and_must_fit_the_frames(tmp_path: Path) -> None:
    pieces = learn_pieces(["tea for two"], 30)
    some = examples(tmp_path, long=1.0, short=0.1)
    labels = FrameCollator(FRONT_END, pieces)(some[:1]).inputs["labels"]
    assert pieces.decode(labels[0]) == "tea for two"
    length = frames_of(FRONT_END, 2.0, pieces)
    assert length(some[0]) == 25
    with pytest.raises(AudioError, match="too few for CTC"):
        length(some[1])
    with pytest.raises(
        AudioError, match=r"longer than the 0\.5 s that encoder\.max_seconds allows"
    ):
        frames_of(FRONT_END, 0.5)(some[0])


def test_a_clip_that_cannot_be_read_teaches_nothing(tmp_path: Path) -> None:
    some = examples(tmp_path, good=1.0, bad=0.8)
    some[1].utterance.audio.path.write_bytes(b"no sound")
    batch = FrameCollator(FRONT_END)(some)
    assert list(batch.skipped) == [1] and batch.loss_weights.tolist() == [1.0, 0.0]
    assert torch.all(batch.inputs["labels"][1] == IGNORED)


@pytest.mark.parametrize("size", [30, 60])
def test_pieces_come_back_as_they_were(size: int) -> None:
    pieces = learn_pieces(["turn on the lamp", "tea", "the door is open"], size)
    assert (
        pieces.pad_token_id == 0
        and pieces.decode(pieces("Turn on TEA")["input_ids"]) == "turn on tea"
    )
    assert "<unk>" in pieces.tokenize("zoo")
