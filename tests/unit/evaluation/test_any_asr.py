"""A cascade on any recogniser of transformers, named by its folder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from speechverse.audio import load
from speechverse.decoding import DecodingOptions
from speechverse.encoders.ctc import load_ctc
from speechverse.errors import CheckpointError, UserError
from speechverse.evaluation import EvaluationSettings, evaluate, load_answers, make_systems
from speechverse.evaluation.parts import Parts

SETTINGS = EvaluationSettings(
    tasks=("asr", "er"),
    systems=("oracle",),
    num_resamples=10,
    decoding=DecodingOptions(max_new_tokens=8),
)


def save_ctc(folder: Path) -> Path:
    """A random wav2vec 2.0 with a CTC head over letters."""
    folder.mkdir()
    letters = {"<pad>": 0, "<unk>": 1, "|": 2, **{chr(97 + n): 3 + n for n in range(26)}}
    (folder / "vocab.json").write_text(json.dumps(letters))
    tokenizer = transformers.Wav2Vec2CTCTokenizer(folder / "vocab.json")
    extractor = transformers.Wav2Vec2FeatureExtractor()
    transformers.Wav2Vec2Processor(extractor, tokenizer).save_pretrained(folder)
    config = transformers.Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24,
        vocab_size=len(letters), conv_dim=(16, 16), conv_kernel=(10, 8), conv_stride=(5, 8),
        num_feat_extract_layers=2, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2,
        pad_token_id=0,
    )  # fmt: skip
    transformers.Wav2Vec2ForCTC(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_ctc_model_that_is_stored_in_half_precision_hears(tmp_path, dtype) -> None:
    torch.manual_seed(1)
    folder = save_ctc(tmp_path / "my-ctc")
    transformers.Wav2Vec2ForCTC.from_pretrained(folder).to(dtype).save_pretrained(folder)
    noise = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    [text] = load_ctc(folder).transcribe([noise])
    assert isinstance(text, str)


def test_a_recognisers_text_is_what_the_llm_reads_plain_and_tuned(
    loaded, checkpoint, corpus, tmp_path
) -> None:
    torch.manual_seed(1)
    folder = save_ctc(tmp_path / "my-ctc")
    plain, tuned = f"cascade:{folder}", f"cascade-tuned:{folder}"
    settings = replace(SETTINGS, systems=(plain, tuned))
    lora = checkpoint / "lora"
    results = evaluate(*loaded, corpus, settings, output=tmp_path / "out", reader_lora=lora)
    assert list(results.systems) == ["cascade:my-ctc", "cascade-tuned:my-ctc"]
    assert results.cascades == tuple(results.systems) and "not measured" not in str(results.notes)
    pipeline = transformers.pipeline("automatic-speech-recognition", model=str(folder))
    clips = [clip for clip in corpus.utterances("test") if clip.text]
    sounds = [{"raw": load(clip.audio).samples, "sampling_rate": 16_000} for clip in clips]
    expected = [pipeline(sound)["text"].strip() for sound in sounds]
    records = load_answers(tmp_path / "out")
    for system in results.systems:
        of_system = [record for record in records if record.system == system]
        assert [r.answer for r in of_system if r.task == "asr"] == expected
        assert [r.transcript for r in of_system if r.task == "er"][:4] == expected


def test_a_recogniser_that_is_not_there_is_refused_at_once(loaded, tmp_path) -> None:
    parts = Parts(*loaded, DecodingOptions())
    with pytest.raises(CheckpointError, match="there is no folder"):
        make_systems([f"cascade:{tmp_path / 'nowhere'}"], parts)
    with pytest.raises(UserError, match="unknown system 'cascde'.*cascade:WHICH"):
        make_systems(["cascde"], parts)
