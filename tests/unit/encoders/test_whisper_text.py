"""Whisper writes down what its encoder heard, whatever stands beside a clip and whether it was
heard before.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from microscopic import byte_level, save_conformer, save_whisper
from speechverse.audio import load
from speechverse.encoders import load_encoder
from speechverse.encoders.whisper_text import load_whisper
from speechverse.errors import AudioTooLongError, CheckpointError
from speechverse.longform.writers import OwnWriter
from speechverse.metrics import score


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    pieces = byte_level(["turn it on"], ["<pad>", "</s>", "<start>"])
    return save_whisper(tmp_path_factory.mktemp("whisper"), pieces, init_std=0.6)


@pytest.fixture(scope="module")
def waveforms() -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    return [
        (draw.standard_normal(size) * 0.1).astype(np.float32)
        for size in (9_000, 24_000, 3_000, 31_000)
    ]


@pytest.mark.parametrize("window", ["fit", "full"])
def test_a_batch_writes_what_each_clip_alone_does_in_the_order_given(
    folder, waveforms, window
) -> None:
    whisper = load_whisper(folder, window=window)
    alone = [whisper.transcribe([waveform])[0] for waveform in waveforms]
    assert whisper.transcribe(waveforms, batch_size=3) == alone
    assert whisper.transcribe(waveforms[::-1], batch_size=4) == alone[::-1]
    assert len(set(alone)) > 1


def test_encoder_outputs_that_were_kept_are_read_as_if_heard_now(folder, waveforms) -> None:
    whisper, encoder = load_whisper(folder), load_encoder(folder)
    output = encoder(**encoder.prepare(waveforms))
    kept = [
        output.hidden_states[:, row, :length] for row, length in enumerate(output.lengths.tolist())
    ]
    assert whisper.transcribe_features(kept) == whisper.transcribe(waveforms)


def test_the_full_window_writes_what_transformers_does(folder, waveforms) -> None:
    model = transformers.WhisperForConditionalGeneration.from_pretrained(folder).eval()
    extractor = transformers.WhisperFeatureExtractor.from_pretrained(folder)
    features = extractor(waveforms[1], sampling_rate=16_000, return_tensors="pt").input_features
    ids = model.generate(features, max_new_tokens=44, num_beams=1, do_sample=False)
    expected = (
        transformers.AutoTokenizer.from_pretrained(folder)
        .decode(ids[0], skip_special_tokens=True)
        .strip()
    )
    assert load_whisper(folder, window="full").transcribe(waveforms[1:2]) == [expected]


def test_it_is_told_to_translate_and_what_is_spoken(folder, waveforms, monkeypatch) -> None:
    whisper = load_whisper(folder)
    monkeypatch.setattr(whisper.model.generation_config, "is_multilingual", True, raising=False)
    known = {"<|de|>": 1}
    monkeypatch.setattr(whisper.model.generation_config, "lang_to_id", known, raising=False)
    told: list[tuple[str, str]] = []
    generate = whisper.model.generate

    def noting(language: str, task: str, **how):
        told.append((language, task))
        return generate(**how)

    monkeypatch.setattr(whisper.model, "generate", noting)
    for writer in (OwnWriter(whisper, "de"), OwnWriter(whisper, "auto", "translate")):
        writer(waveforms[:1])
    assert told == [("de", "transcribe"), (None, "translate")]
    assert (writer.task, writer.language) == ("translate", "en")


def test_an_endless_decoder_is_cut_by_the_clip_s_length_whatever_stands_beside_it(
    folder, waveforms
) -> None:
    whisper = load_whisper(folder)
    whisper.model.generation_config.eos_token_id = None
    short, long = whisper.transcribe([waveforms[2], waveforms[3]])
    assert whisper.transcribe([waveforms[2]]) == [short]
    assert len(short) < len(long)


def test_what_is_too_long_is_refused_and_never_cut(folder) -> None:
    with pytest.raises(AudioTooLongError, match="2 s"):
        load_whisper(folder).transcribe([np.zeros(40_000, np.float32)])


def test_only_a_whisper_with_a_decoder_can_write(folder, tmp_path) -> None:
    with pytest.raises(
        CheckpointError, match="no Whisper with a decoder: it is of kind 'wav2vec2-bert'"
    ):
        load_whisper(save_conformer(tmp_path / "conformer"))
    model = transformers.WhisperForConditionalGeneration.from_pretrained(folder)
    model.save_pretrained(
        tmp_path / "bare",
        state_dict={k: v for k, v in model.state_dict().items() if "decoder" not in k},
    )
    with pytest.raises(CheckpointError, match="it lacks weights, such as 'model.decoder"):
        load_whisper(tmp_path / "bare")


@pytest.mark.real_speech
@pytest.mark.slow
def test_whisper_base_writes_what_people_read_aloud(real_speech: Path) -> None:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "speechverse"
    folder = Path(os.environ.get("SPEECHVERSE_CACHE") or cache) / "whisper-base"
    if not folder.is_dir():
        pytest.skip(f"the known part whisper-base is not here ({folder})")
    lines = map(
        json.loads, (real_speech / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    )
    read = [
        line for line in lines if line["dataset"] == "librispeech_small" and line["task"] == "asr"
    ][:4]
    texts = load_whisper(folder).transcribe(
        [load(real_speech / line["audio"]).samples for line in read]
    )
    assert score(["wer"], texts, [line["text"] for line in read])["wer"] < 0.2
