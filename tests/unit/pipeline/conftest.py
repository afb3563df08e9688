"""A microscopic random checkpoint that knows letters only."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    PreTrainedTokenizerFast,
    SeamlessM4TFeatureExtractor,
    T5Config,
    T5ForConditionalGeneration,
    Wav2Vec2BertConfig,
    Wav2Vec2BertModel,
)

from speechverse.models import SpeechVerseForConditionalGeneration


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("parts")
    letters = ["<pad>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    bare = Tokenizer(models.BPE({letter: number for number, letter in enumerate(letters)}, []))
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    torch.manual_seed(0)
    encoder = Wav2Vec2BertConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        feature_projection_input_dim=320,
        conv_depthwise_kernel_size=5,
    )
    Wav2Vec2BertModel(encoder).save_pretrained(root / "encoder")
    SeamlessM4TFeatureExtractor(stride=4).save_pretrained(root / "encoder")
    llm = T5Config(
        vocab_size=len(letters), d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, decoder_start_token_id=0
    )
    T5ForConditionalGeneration(llm).save_pretrained(root / "llm")
    PreTrainedTokenizerFast(tokenizer_object=bare, pad_token="<pad>", eos_token="</s>").save_pretrained(root / "llm")
    model = SpeechVerseForConditionalGeneration.from_foundations(root / "encoder", root / "llm", max_audio_seconds=2.0)
    model.save_pretrained(root / "model")
    (root / "model" / "recipe.yaml").write_text("name: tried\n")
    return root / "model"
