"""Microscopic random encoders and LLMs, as folders in the hub's format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from speechverse.models import SpeechVerseForConditionalGeneration

SENTENCES = [
    "turn on the radio now", "play some jazz in the kitchen please", "transcribe the audio", "what is being said",
    "which emotion does the speaker convey", "happy sad angry neutral", "translate it to german",
]  # fmt: skip
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] | trim }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_ENCODER_DECODER = {
    "d_model": 24, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "max_position_embeddings": 128,
    "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2, "decoder_start_token_id": 0, "forced_eos_token_id": None,
    "init_std": 0.5,
}  # fmt: skip
_DECODER = {
    "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
    "intermediate_size": 32, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2, "initializer_range": 0.5,
}  # fmt: skip


def make_tokenizer(*, chat: bool, closes: bool) -> PreTrainedTokenizerFast:
    """Byte-level BPE; `closes` puts the end token behind any text, as T5's tokenizer does."""
    special = ["<pad>", "</s>", "<s>", "<unk>", "<|user|>", "<|assistant|>", "<|end|>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    from tokenizers.trainers import BpeTrainer

    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=340, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    if closes:
        tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    names = {"pad_token": "<pad>", "eos_token": "</s>", "bos_token": "<s>", "unk_token": "<unk>"}
    extra = {"additional_special_tokens": special[4:]} if chat else {}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names, **extra)
    fast.chat_template = CHAT_TEMPLATE if chat else None
    return fast


def _t5(vocabulary: int) -> transformers.PreTrainedModel:
    return transformers.T5ForConditionalGeneration(
        transformers.T5Config(
            vocab_size=vocabulary, d_model=24, d_kv=12, d_ff=32, num_layers=2, num_heads=2, pad_token_id=0,
            eos_token_id=1, decoder_start_token_id=0, tie_word_embeddings=False, feed_forward_proj="gated-gelu",
        )
    )  # fmt: skip


LLMS: dict[str, tuple[Callable[[int], transformers.PreTrainedModel], bool]] = {
    "t5": (_t5, False),
    "bart": (
        lambda n: transformers.BartForConditionalGeneration(
            transformers.BartConfig(vocab_size=n, scale_embedding=True, **_ENCODER_DECODER)
        ),
        False,
    ),
    "pegasus": (
        lambda n: transformers.PegasusForConditionalGeneration(
            transformers.PegasusConfig(vocab_size=n, scale_embedding=True, **_ENCODER_DECODER)
        ),
        False,
    ),
    "mbart": (
        lambda n: transformers.MBartForConditionalGeneration(
            transformers.MBartConfig(vocab_size=n, scale_embedding=True, **_ENCODER_DECODER)
        ),
        False,
    ),
    "llama": (lambda n: transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=n, **_DECODER)), True),
    "llama-base": (lambda n: transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=n, **_DECODER)), False),
    "qwen2": (lambda n: transformers.Qwen2ForCausalLM(transformers.Qwen2Config(vocab_size=n, **_DECODER)), True),
    "gemma": (
        lambda n: transformers.GemmaForCausalLM(transformers.GemmaConfig(vocab_size=n, head_dim=12, **_DECODER)),
        True,
    ),
}


@pytest.fixture(scope="session")
def llm_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {}
    for name, (make, chat) in LLMS.items():
        torch.manual_seed(1)
        folders[name] = tmp_path_factory.mktemp("llms") / name
        tokenizer = make_tokenizer(chat=chat, closes=name in ("t5", "pegasus"))
        make(len(tokenizer) + 5).save_pretrained(folders[name])
        tokenizer.save_pretrained(folders[name])
    return folders


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BEST-RQ Conformer with a CTC head: 25 frames a second."""
    torch.manual_seed(2)
    folder = tmp_path_factory.mktemp("encoders") / "best-rq"
    config = transformers.Wav2Vec2BertConfig(
        hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=24, vocab_size=12,
        feature_projection_input_dim=320, conv_depthwise_kernel_size=5, pad_token_id=0, initializer_range=0.3,
    )  # fmt: skip
    transformers.Wav2Vec2BertForCTC(config).save_pretrained(folder)
    transformers.SeamlessM4TFeatureExtractor(stride=4).save_pretrained(folder)
    return folder


@pytest.fixture
def waveforms() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [(0.1 * rng.standard_normal(n)).astype(np.float32) for n in (9003, 20000, 13111)]


@pytest.fixture
def instructions() -> list[str]:
    return ["transcribe the audio", "which emotion does the speaker convey?", "what is being said"]


@pytest.fixture
def make_model(
    encoder_folder: Path, llm_folders: dict[str, Path]
) -> Callable[..., SpeechVerseForConditionalGeneration]:
    """Builds a model whose every part does something: mixing weights, adapters and all are random."""

    def make(llm: str = "t5", **options: object) -> SpeechVerseForConditionalGeneration:
        torch.manual_seed(3)
        lora = {"rank": 4, "alpha": 8, "targets": ["q", "v"] if llm == "t5" else ["q_proj", "v_proj"]}
        options = {"layer_mixing": "softmax", "downsampler": {"strides": [2, 1]}, "lora": lora, **options}
        model = SpeechVerseForConditionalGeneration.from_foundations(encoder_folder, llm_folders[llm], **options)
        with torch.no_grad():
            for parameter in (p for p in model.parameters() if p.requires_grad):
                parameter.add_(0.3 * torch.randn_like(parameter))
        return model.eval()

    return make
