"""Other audio LLMs are asked the same, through their own processors."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import transformers
from transformers.audio_utils import mel_filter_bank
from transformers.models.granite_speech import feature_extraction_granite_speech
from transformers.utils import import_utils

from microscopic import byte_level
from speechverse.decoding import DecodingOptions
from speechverse.errors import CheckpointError
from speechverse.evaluation import EvaluationSettings, evaluate, load_answers, make_systems
from speechverse.evaluation.parts import Parts

SIGNS = [
    "<|AUDIO|>",
    "<|audio_bos|>",
    "<|audio_eos|>",
    "<|im_start|>",
    "<|im_end|>",
    "<sound>",
    "<|audio|>",
]
TEXT = {
    "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "num_key_value_heads": 2,
}  # fmt: skip
SOUND = {"encoder_layers": 1, "encoder_attention_heads": 2, "num_mel_bins": 80}
TEMPLATE = (
    "{% for m in messages %}{% for c in m['content'] %}{% if c['type'] == 'audio' %}<sound>"
    "{% else %}{{ c['text'] }}{% endif %}{% endfor %}{% endfor %}"
)
# As Granite's own, it takes a turn of text alone: given parts it fails.
ROLES = (
    "{% for m in messages %}{{ '<|start_of_role|>' + m['role'] + '<|end_of_role|>' + m['content']"
    " + '<|end_of_text|>\n' }}{% endfor %}"
)


class MelSpectrogram(torch.nn.Module):
    """As torchaudio's of that name: power, centred, triangles of HTK's mel scale."""

    def __init__(self, sample_rate: int, n_fft: int, win_length: int, hop_length: int, n_mels: int):
        super().__init__()
        self.sizes = {"n_fft": n_fft, "win_length": win_length, "hop_length": hop_length}
        bank = mel_filter_bank(n_fft // 2 + 1, n_mels, 0.0, sample_rate / 2, sample_rate)
        self.bank = torch.from_numpy(bank).float()
        self.window = torch.hann_window(win_length)

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        power = (
            torch.stft(samples, **self.sizes, window=self.window, return_complex=True).abs() ** 2
        )
        return (power.transpose(1, 2) @ self.bank).transpose(1, 2)


@pytest.fixture
def torchaudio(monkeypatch) -> None:
    """Granite Speech's processor wants one function of torchaudio, whose wheel does not load beside
    a torch for CPUs; here is that function alone.
    """
    module = SimpleNamespace(transforms=SimpleNamespace(MelSpectrogram=MelSpectrogram))
    monkeypatch.setattr(feature_extraction_granite_speech, "torchaudio", module, raising=False)
    said = import_utils.BACKENDS_MAPPING["torchaudio"][1]
    monkeypatch.setitem(import_utils.BACKENDS_MAPPING, "torchaudio", (lambda: True, said))


def save_granite(folder: Path, pieces: transformers.PreTrainedTokenizerFast) -> Path:
    pieces.chat_template = ROLES
    sizes = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    ends = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1}
    config = transformers.GraniteSpeechConfig(
        text_config={"model_type": "granite", "vocab_size": len(pieces), **TEXT, **ends},
        encoder_config={"num_layers": 2, "hidden_dim": 16, "num_heads": 2, "output_dim": 8},
        projector_config={"model_type": "blip_2_qformer", "encoder_hidden_size": 16, **sizes},
        audio_token_index=pieces.convert_tokens_to_ids("<|audio|>"),
        has_lora_adapter=False,
        tie_word_embeddings=False,  # tied, a random one says the last sign again
    )
    transformers.GraniteSpeechForConditionalGeneration(config).save_pretrained(folder)
    hearing = feature_extraction_granite_speech.GraniteSpeechFeatureExtractor()
    transformers.GraniteSpeechProcessor(hearing, pieces).save_pretrained(folder)
    return folder


def save(folder: Path, kind: str) -> Path:
    """A random one of that kind that hears two seconds (Flamingo: 30; Granite: any)."""
    torch.manual_seed(0)
    pieces = byte_level(["what"], ["<pad>", "</s>", *SIGNS], additional_special_tokens=SIGNS)
    if kind == "granite-speech":
        return save_granite(folder, pieces)
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


@pytest.mark.parametrize("kind", ["qwen2-audio", "granite-speech", "flamingo"])
def test_it_hears_and_answers_through_its_own_processor(
    loaded, corpus, tmp_path, kind, torchaudio
) -> None:
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


def test_a_package_that_its_processor_wants_is_named(
    loaded, tmp_path, torchaudio, monkeypatch
) -> None:
    folder = save(tmp_path / "granite", "granite-speech")
    said = import_utils.BACKENDS_MAPPING["torchaudio"][1]
    monkeypatch.setitem(import_utils.BACKENDS_MAPPING, "torchaudio", (lambda: False, said))
    with pytest.raises(CheckpointError, match="torchaudio.*; install what it names"):
        make_systems([f"audio-llm:{folder}"], Parts(*loaded, DecodingOptions()))
