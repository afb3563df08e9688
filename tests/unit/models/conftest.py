"""Microscopic random encoders and LLMs, as folders in the hub's format."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from tokenizers import processors
from transformers import PreTrainedTokenizerFast

from microscopic import bart, byte_level, chatting, decoder_only, save_conformer, t5
from speechverse.models import SpeechVerseForConditionalGeneration

SENTENCES = [
    "turn on the radio now", "play some jazz in the kitchen please", "transcribe the audio", "what is being said",
    "which emotion does the speaker convey", "happy sad angry neutral", "translate it to german",
]  # fmt: skip
_IDS = {"pad_token_id": 0, "eos_token_id": 1}
_ENCODER_DECODER = {
    **_IDS, "layers": 2, "d_model": 24, "max_position_embeddings": 128, "bos_token_id": 2, "decoder_start_token_id": 0,
    "init_std": 0.5, "scale_embedding": True,
}  # fmt: skip
_DECODER = {
    **_IDS, "hidden_size": 24, "num_hidden_layers": 2, "num_key_value_heads": 1, "intermediate_size": 32,
    "bos_token_id": 2, "initializer_range": 0.5, "max_position_embeddings": 2048,
}  # fmt: skip


def make_tokenizer(*, chat: bool, closes: bool) -> PreTrainedTokenizerFast:
    """Byte-level BPE; `closes` puts the end token behind any text, as T5's tokenizer does."""
    fast = chatting(SENTENCES * 3)
    if not chat:
        special = ["<pad>", "</s>", "<s>", "<unk>", "<|user|>", "<|assistant|>", "<|end|>"]
        fast = byte_level(SENTENCES * 3, special, bos_token="<s>", unk_token="<unk>")
    if closes:
        closing = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
        fast.backend_tokenizer.post_processor = closing
    return fast


T5_SIZES = {"d_model": 24, "d_kv": 12, "d_ff": 32, "num_layers": 2, "tie_word_embeddings": False}
LLMS: dict[str, tuple[Callable[[int], transformers.PreTrainedModel], bool]] = {
    "t5": (partial(t5, **_IDS, **T5_SIZES, feed_forward_proj="gated-gelu"), False),
    "bart": (partial(bart, **_ENCODER_DECODER), False),
    "pegasus": (partial(bart, kind="Pegasus", **_ENCODER_DECODER), False),
    "mbart": (partial(bart, kind="MBart", **_ENCODER_DECODER), False),
    "llama": (partial(decoder_only, **_DECODER), True),
    "llama-base": (partial(decoder_only, **_DECODER), False),
    "qwen2": (partial(decoder_only, kind="Qwen2", **_DECODER), True),
    "gemma": (partial(decoder_only, kind="Gemma", head_dim=12, **_DECODER), True),
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
    sizes = {"num_hidden_layers": 3, "vocab_size": 12, "pad_token_id": 0, "initializer_range": 0.3}
    return save_conformer(tmp_path_factory.mktemp("encoders") / "best-rq", **sizes)


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
    """Builds a model whose every part does something: mixing weights, adapters and
    all are random.
    """

    def make(llm: str = "t5", **options: object) -> SpeechVerseForConditionalGeneration:
        torch.manual_seed(3)
        lora = {
            "rank": 4,
            "alpha": 8,
            "targets": ["q", "v"] if llm == "t5" else ["q_proj", "v_proj"],
        }
        mixing = options.get("layer_mixing", "softmax")
        downsampler = {
            "strides": [2, 1],
            "scale_to_embeddings": True,
            "clip_statistics": mixing == "softmax",
        }
        options = {"layer_mixing": "softmax", "downsampler": downsampler, "lora": lora, **options}
        model = SpeechVerseForConditionalGeneration.from_foundations(
            encoder_folder, llm_folders[llm], **options
        )
        with torch.no_grad():
            for parameter in (p for p in model.parameters() if p.requires_grad):
                parameter.add_(0.3 * torch.randn_like(parameter))
        return model.eval()

    return make
