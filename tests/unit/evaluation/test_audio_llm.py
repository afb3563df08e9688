"""Other audio LLMs are asked the same, through their own processors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers

from microscopic import byte_level
from speechverse.decoding import DecodingOptions
from speechverse.errors import CheckpointError
from speechverse.evaluation import EvaluationSettings, evaluate, load_answers, make_systems
from speechverse.evaluation.systems import Parts

SIGNS = ["<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>", "<|im_start|>", "<|im_end|>", "<sound>"]
TEXT = {
    "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "num_key_value_heads": 2,
}  # fmt: skip
SOUND = {"encoder_layers": 1, "encoder_attention_heads": 2, "num_mel_bins": 80}
TEMPLATE = (
    "{% for m in messages %}{% for c in m['content'] %}{% if c['type'] == 'audio' %}<sound>"
    "{% else %}{{ c['text'] }}{% endif %}{% endfor %}{% endfor %}"
)


def save(folder: Path, kind: str) -> Path:
    """A random one of that kind that hears two seconds (Flamingo: 30)."""
    torch.manual_seed(0)
    pieces = byte_level(["what"], ["<pad>", "</s>", *SIGNS], additional_special_tokens=SIGNS)
    text = {"model_type": "qwen2", "vocab_size": len(pieces), **TEXT}
    if kind == "qwen2-audio":
        sound = {"d_model": 16, "encoder_ffn_dim": 16, "max_source_positions": 100, **SOUND}
        sign = pieces.convert_tokens_to_ids("<|AUDIO|>")
        config = transformers.Qwen2AudioConfig(
            audio_config={"model_type": "qwen2_audio_encoder", **sound},
            text_config=text,
            audio_token_index=sign,
        )
        transformers.Qwen2AudioForConditionalGeneration(config).save_pretrained(folder)
        hearing = transformers.WhisperFeatureExtractor(chunk_length=2)
        transformers.Qwen2AudioProcessor(hearing, pieces).save_pretrained(folder)
        return folder
    sound = {"hidden_size": 16, "intermediate_size": 16, "max_source_positions": 1500}
    sizes = {"num_hidden_layers": 1, "num_attention_heads": 2, "num_mel_bins": 80}
    config = transformers.AudioFlamingo3Config(
        audio_config={"model_type": "audioflamingo3_encoder", **sound, **sizes},
        text_config=text,
        audio_token_id=pieces.convert_tokens_to_ids("<sound>"),
    )
    transformers.AudioFlamingo3ForConditionalGeneration(config).save_pretrained(folder)
    hearing = transformers.WhisperFeatureExtractor()
    transformers.AudioFlamingo3Processor(hearing, pieces, chat_template=TEMPLATE).save_pretrained(
        folder
    )
    return folder


@pytest.mark.parametrize("kind", ["qwen2-audio", "flamingo"])
def test_it_hears_and_answers_through_its_own_processor(loaded, corpus, tmp_path, kind) -> None:
    folder = save(tmp_path / kind, kind)
    settings = EvaluationSettings(
        tasks=("er",),
        systems=(f"audio-llm:{folder}",),
        num_resamples=10,
        decoding=DecodingOptions(max_new_tokens=4),
    )
    results = evaluate(*loaded, corpus, settings, output=tmp_path / "out")
    assert results.score("er", f"audio-llm:{kind}").num_examples == 4
    answers = [record.answer for record in load_answers(tmp_path / "out")]
    assert any(answers)
    evaluate(*loaded, corpus, settings, output=tmp_path / "again")
    assert answers == [record.answer for record in load_answers(tmp_path / "again")]


def test_what_is_none_is_refused_at_once(loaded, checkpoint) -> None:
    with pytest.raises(CheckpointError, match="cannot load the audio LLM"):
        make_systems([f"audio-llm:{checkpoint}"], Parts(*loaded, DecodingOptions()))
