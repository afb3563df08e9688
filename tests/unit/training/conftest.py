"""Microscopic foundations and corpora in the hub's and the corpus' formats, and a recipe that
trains on them.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import transformers

from microscopic import bart, byte_level, conformer, decoder_only, t5, whisper
from speechverse.data import write_corpus
from speechverse.training.recipe import Recipe
from speechverse.training.recipe_files import recipe_from
from speechverse.types import AudioRef, Utterance

WORDS = (
    "play turn on off the kitchen light music radio alarm weather today tomorrow jazz table".split()
)
ADAPTER = ["mixer", "downsampler"]
WAVE = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
    "conv_dim": (16, 16, 16), "conv_kernel": (10, 3, 3), "conv_stride": (5, 8, 8),
    "num_feat_extract_layers": 3, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2,
}  # fmt: skip


def _encoder(kind: str) -> tuple[Any, Any]:
    if kind == "best-rq":
        config = conformer(vocab_size=12, pad_token_id=0)
        return transformers.Wav2Vec2BertForCTC(config), transformers.SeamlessM4TFeatureExtractor(
            stride=4
        )
    if kind == "whisper":
        return whisper(60), transformers.WhisperFeatureExtractor(chunk_length=2)
    large = kind == "wavlm-large"
    norm = {"feat_extract_norm": "layer" if large else "group", "do_stable_layer_norm": large}
    config = transformers.WavLMConfig(**WAVE, **norm)
    return transformers.WavLMModel(config), transformers.Wav2Vec2FeatureExtractor(
        do_normalize=large
    )


def _llm(kind: str, vocab: int) -> Any:
    ids = {"pad_token_id": 1, "eos_token_id": 2, "bos_token_id": 0}
    if kind == "bart":
        return bart(vocab, layers=2, max_position_embeddings=512, dropout=0.3, init_std=0.2, **ids)
    if kind == "t5":
        return t5(vocab, num_layers=2, decoder_start_token_id=1, **ids)
    return decoder_only(
        vocab,
        "Qwen2",
        num_hidden_layers=2,
        num_key_value_heads=2,
        max_position_embeddings=512,
        **ids,
    )


@pytest.fixture(scope="session")
def foundation(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes the folder of a random encoder (best-rq, whisper, wavlm-...) or LLM (bart, t5, qwen),
    each once.
    """
    root, made = tmp_path_factory.mktemp("foundations"), {}

    def make(kind: str) -> Path:
        if kind not in made:
            made[kind] = root / kind
            torch.manual_seed(0)
            if kind in ("bart", "t5", "qwen"):
                tokenizer = byte_level(
                    [" ".join(WORDS)] * 3, ("<s>", "<pad>", "</s>"), 400, bos_token="<s>"
                )
                model, other = _llm(kind, len(tokenizer)), tokenizer
            else:
                model, other = _encoder(kind)
            model.save_pretrained(made[kind])
            other.save_pretrained(made[kind])
        return made[kind]

    return make


def _utterances(folder: Path, prefix: str, number: int) -> list[Utterance]:
    rng, made = random.Random(prefix), []
    for index in range(number):
        seconds = rng.uniform(0.3, 0.8)
        path = folder / f"{prefix}{index}.wav"
        tone = np.sin(np.arange(round(seconds * 16000)) * rng.uniform(0.05, 0.5)) * 0.3
        soundfile.write(path, tone.astype(np.float32), 16000)
        text = " ".join(rng.choices(WORDS, k=rng.randint(1, 3)))
        labels = {
            "intent": rng.choice(["play_music", "set_alarm"]),
            "slots": [["room", "kitchen"]],
            "keywords": text.split()[:1],
            "emotion": rng.choice(["happy", "sad", "angry", "neutral"]),
            "sentiment": "neutral",
            "accent": "british",
            "num_speakers": rng.choice([1, 2]),
            "stratum": "grammar",
            "is_speech": True,
            "translations": {"de": "das licht", "fr": "la table"},
        }
        made.append(
            Utterance(
                f"{prefix}{index}",
                AudioRef(path),
                len(tone) / 16000,
                text,
                f"s{index % 3}",
                "en",
                labels,
            )
        )
    return made


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus folder with all labels: 24 clips to train on, 6 to validate on."""
    folder = tmp_path_factory.mktemp("corpora") / "world"
    (folder / "audio").mkdir(parents=True)
    splits = {
        "train": _utterances(folder / "audio", "a", 24),
        "dev": _utterances(folder / "audio", "b", 6),
    }
    write_corpus(folder, "world", splits)
    return folder


def stage(name: str, mixture: str, train: list[str], steps: int, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "mixture": mixture,
        "train": train,
        "steps": steps,
        "learning_rate": 1e-2,
        **more,
    }


@pytest.fixture
def recipe(foundation: Callable[[str], Path], world: Path) -> Callable[..., Recipe]:
    """A whole curriculum of 4 + 4 + 6 steps; keyword arguments replace sections' entries."""

    def make(data: dict | None = None, training: dict | None = None, **changes: Any) -> Recipe:
        values = {
            "name": "micro",
            "model": {
                "encoder": str(foundation("best-rq")), "llm": str(foundation("bart")), "layer_mixing": "softmax",
                "downsampler": {"strides": [2, 1], "activation": "gelu", "scale_to_embeddings": True,
                                "clip_statistics": True},
                "lora": {"rank": 2, "alpha": 4, "dropout": 0.2},
            },
            "data": {
                "corpora": {"world": {"path": str(world)}},
                "mixtures": {
                    "asr": [{"corpus": "world", "task": "asr"}],
                    "all": [
                        {"corpus": "world", "task": "asr"},
                        {"corpus": "world", "task": "er", "loss_weight": 3.0, "balanced": "num_speakers"},
                        {"corpus": "world", "task": "ic"},
                    ],
                },
                "batch": {"max_positions": 1000, "max_examples": 4, "micro_batches": 2, "num_buckets": 2},
                "validation": {"split": "dev", "every": 3, "examples": 4, "decoded": 1},
                "cache": "all",
                "workers": 0,
                **(data or {}),
            },
            "curriculum": [
                stage("align", "asr", ADAPTER, 4),
                stage("warm_up", "asr", [*ADAPTER, "lora"], 4, warmup_steps=2),
                stage("instruct", "all", [*ADAPTER, "lora"], 6, warmup_steps=2, schedule="cosine"),
            ],
            "training": {"precision": "fp32", "log_every": 2, "save_every": 2, **(training or {})},
            "decoding": {"max_new_tokens": 4},
            **changes,
        }  # fmt: skip
        return recipe_from(values)

    return make
