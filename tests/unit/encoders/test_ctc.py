"""The recogniser that comes with an encoder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import (
    AutoConfig,
    AutoModelForCTC,
    PreTrainedTokenizerFast,
    Wav2Vec2BertForCTC,
    Wav2Vec2CTCTokenizer,
)

from speechverse.encoders import load_encoder
from speechverse.encoders.ctc import greedy_ids, load_ctc
from speechverse.errors import CheckpointError


@pytest.fixture(params=["best-rq", "parakeet"])
def ctc_folder(
    encoder_folders: dict[str, Path], tmp_path: Path, request: pytest.FixtureRequest
) -> Path:
    folder = shutil.copytree(encoder_folders[request.param], tmp_path / "ctc")
    vocabulary = {"<pad>": 0, **{letter: i + 1 for i, letter in enumerate("abcdefghijk")}}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>").save_pretrained(folder)
    return folder


def test_repeats_are_merged_and_blanks_dropped() -> None:
    best = torch.tensor([[0, 3, 3, 0, 3, 5, 5, 1], [2, 2, 0, 0, 7, 7, 7, 7]])
    logits = torch.nn.functional.one_hot(best, 8).float()
    assert greedy_ids(logits, torch.tensor([7, 4]), blank=0) == [[3, 3, 5], [2]]


def test_doubled_letters_are_read_whatever_the_tokenizer_merges(
    encoder_folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(encoder_folders["best-rq"], tmp_path / "ctc")
    letters = {"<pad>": 0, "<unk>": 1, "|": 2, **{x: n + 3 for n, x in enumerate("BELONHA")}}
    (tmp_path / "vocab.json").write_text(json.dumps(letters))
    Wav2Vec2CTCTokenizer(str(tmp_path / "vocab.json")).save_pretrained(folder)
    said = [letters[x] for x in "HEL"] + [0, letters["L"], letters["O"], 2]
    said += [letters[x] for x in "BAL"] + [
        0,
        letters["L"],
        letters["O"],
        0,
        letters["O"],
        letters["N"],
    ]
    logits = torch.nn.functional.one_hot(torch.tensor([said]), len(letters)).float()
    assert load_ctc(folder).decode(logits, torch.tensor([len(said)])) == ["HELLO BALLOON"]


def test_a_batch_reads_like_single_clips_and_like_transformers(
    ctc_folder: Path, waveforms: list
) -> None:
    recogniser = load_ctc(ctc_folder)
    together = recogniser.transcribe(waveforms)
    assert together == [recogniser.transcribe([waveform])[0] for waveform in waveforms]
    assert together == recogniser.transcribe(waveforms, batch_size=2) and any(together)
    model = AutoModelForCTC.from_pretrained(ctc_folder).eval()
    inputs = recogniser.encoder.prepare(waveforms[:1])
    with torch.no_grad():
        logits = model(inputs["input_features"]).logits
    assert together[:1] == recogniser.decode(logits, inputs["frame_lengths"])


def test_kept_encoder_outputs_read_like_the_audio(ctc_folder: Path, waveforms: list) -> None:
    recogniser, encoder = load_ctc(ctc_folder), load_encoder(ctc_folder)
    output = encoder(**encoder.prepare(waveforms))
    features = [output.hidden_states[:, row, :length] for row, length in enumerate(output.lengths)]
    assert recogniser.transcribe_features(features) == recogniser.transcribe(waveforms)


def test_a_head_over_an_adapter_is_refused(
    encoder_folders: dict[str, Path], tmp_path: Path
) -> None:
    config = AutoConfig.from_pretrained(encoder_folders["best-rq"], add_adapter=True)
    Wav2Vec2BertForCTC(config).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="add_adapter=False"):
        load_ctc(tmp_path)


def test_an_encoder_without_a_head_cannot_transcribe(encoder_folders: dict[str, Path]) -> None:
    for family in ("wavlm-group", "whisper"):
        with pytest.raises(CheckpointError, match="holds no CTC head"):
            load_ctc(encoder_folders[family])
