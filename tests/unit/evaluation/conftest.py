"""A microscopic random model with a CTC head under it, and a corpus of a few noises with every label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    PreTrainedTokenizerFast,
    SeamlessM4TFeatureExtractor,
    T5Config,
    T5ForConditionalGeneration,
    Wav2Vec2BertConfig,
    Wav2Vec2BertForCTC,
)

from speechverse.audio import Waveform, save
from speechverse.data import Corpus, write_corpus
from speechverse.models import SpeechVerseForConditionalGeneration
from speechverse.types import AudioRef, Utterance

SENTENCES = ("play some jazz", "turn the light off", "what is the time", "call my mother now", "")


def tokenizer() -> PreTrainedTokenizerFast:
    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<pad>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    bare.train_from_iterator(SENTENCES * 3, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=bare, pad_token="<pad>", eos_token="</s>")


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved checkpoint with random parts."""
    root = tmp_path_factory.mktemp("checkpoint")
    pieces = tokenizer()
    torch.manual_seed(0)
    encoder = Wav2Vec2BertConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        feature_projection_input_dim=320,
        conv_depthwise_kernel_size=5,
        layerdrop=0.0,
        vocab_size=len(pieces),
        pad_token_id=pieces.pad_token_id,
    )
    Wav2Vec2BertForCTC(encoder).save_pretrained(root / "encoder")
    SeamlessM4TFeatureExtractor(stride=4).save_pretrained(root / "encoder")
    pieces.save_pretrained(root / "encoder")
    llm = T5Config(
        vocab_size=len(pieces),
        d_model=16,
        d_kv=8,
        d_ff=16,
        num_layers=1,
        num_heads=2,
        decoder_start_token_id=0,
        dropout_rate=0.0,
    )
    T5ForConditionalGeneration(llm).save_pretrained(root / "llm")
    pieces.save_pretrained(root / "llm")
    model = SpeechVerseForConditionalGeneration.from_foundations(
        root / "encoder", root / "llm", layer_mixing="softmax", lora={"rank": 2}, max_audio_seconds=4.0
    )
    model.save_pretrained(root / "model")
    (root / "model" / "recipe.yaml").write_text("name: tried\n")
    return root / "model"


@pytest.fixture(scope="session")
def loaded(checkpoint: Path) -> Any:
    model = SpeechVerseForConditionalGeneration.from_pretrained(checkpoint)
    return model, model.processor()


def utterances(folder: Path, split: str, seconds: float = 0.6) -> list[Utterance]:
    draw, made = np.random.default_rng(len(split)), []
    for number, text in enumerate(SENTENCES):
        samples = draw.standard_normal(round(seconds * 16_000)).astype(np.float32) * 0.1
        path = save(folder / "audio" / split / f"{number}.wav", Waveform(samples))
        labels = {
            "intent": ("play_music", "switch_light", "get_time", "call")[number % 4],
            "slots": [["genre", "jazz"]] if number == 0 else [],
            "keywords": text.split()[:2],
            "translations": {"de": f"bitte {text}", "fr": f"svp {text}"},
            "emotion": ("happy", "sad", "angry", "neutral")[number % 4],
            "sentiment": ("positive", "negative")[number % 2],
            "accent": ("american", "british")[number % 2],
            "num_speakers": 1 + number % 2,
            "is_speech": bool(text),
            "stratum": ("grammar", "names")[number % 2],
        }
        made.append(
            Utterance(f"{split}-{number}", AudioRef(path), len(samples) / 16_000, text, f"s{number}", "en", labels)
        )
    return made


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpus")
    for split in ("train", "test"):
        (folder / "audio" / split).mkdir(parents=True)
    splits = {split: utterances(folder, split) for split in ("train", "test")}
    return write_corpus(folder, "noises", splits, extra={"seed": 0})
