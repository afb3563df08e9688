"""Microscopic tokenizers of the three kinds LLMs have, and microscopic random LLMs
that use them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from microscopic import bart, byte_fallback, byte_level, decoder_only, save_conformer, t5, unigram
from speechverse.models import SpeechVerseForConditionalGeneration
from speechverse.models.prompts import special_tokens

TEXTS = [
    "play_music play_radio alarm set très bien one weather in the city",
    "artist = miles davis; room = kitchen;",
    "place name = york; artist = abba; none",
    "play some music by miles davis in the kitchen",
    "set the alarm for nine",
] * 4


class TextSide:
    """The part of the processor that automata and logits processors stand on."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self.tokenizer = tokenizer
        self.end_token_id = tokenizer.eos_token_id

    def encode_target(self, text: str) -> list[int]:
        prefix, _ = special_tokens(self.tokenizer, "text_target")
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return [*prefix, *ids, self.end_token_id]

    def decode(self, ids: Any) -> list[str]:
        return self.tokenizer.batch_decode(ids, skip_special_tokens=True)


def as_bart(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """Puts texts between BART's signs: its answers begin with one too."""
    signs = [(sign, tokenizer.convert_tokens_to_ids(sign)) for sign in ("<s>", "</s>")]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        "<s> $A </s>", special_tokens=signs
    )
    return tokenizer


@pytest.fixture(scope="session")
def text_sides() -> dict[str, TextSide]:
    made = {
        "t5": unigram(TEXTS),
        "bart": as_bart(byte_level(TEXTS, SPECIAL, bos_token="<s>")),
        "llama": byte_fallback(TEXTS),
    }
    return {kind: TextSide(tokenizer) for kind, tokenizer in made.items()}


SPECIAL = ("<s>", "<pad>", "</s>")
LLMS = {
    "t5": lambda vocabulary: t5(vocabulary + 7),
    "bart": lambda vocabulary: bart(vocabulary, forced_bos_token_id=SPECIAL.index("<s>")),
    "llama": decoder_only,
}


@pytest.fixture(scope="session")
def generate(text_sides: dict[str, TextSide]) -> Callable[..., torch.Tensor]:
    """Generates from random embeddings with a random LLM; returns new tokens only."""
    llms = {}
    for kind, make in LLMS.items():
        torch.manual_seed(1)
        llms[kind] = make(len(text_sides[kind].tokenizer)).eval()

    def run(kind: str, seed: int, rows: int, **kwargs: Any) -> torch.Tensor:
        llm, tokenizer = llms[kind], text_sides[kind].tokenizer
        embeds = torch.randn(rows, 5, 16, generator=torch.Generator().manual_seed(seed)) * 3
        tokens = llm.generate(
            inputs_embeds=embeds,
            attention_mask=torch.ones(rows, 5, dtype=torch.long),
            do_sample=kwargs.pop("do_sample", False),
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            **kwargs,
        )
        return tokens if kind == "llama" else tokens[:, 1:]

    return run


@pytest.fixture(scope="session")
def speech_models(
    tmp_path_factory: pytest.TempPathFactory, text_sides: dict[str, TextSide]
) -> dict[str, Any]:
    """A whole random SpeechVerse model over each kind of LLM, with its processor."""
    root = tmp_path_factory.mktemp("foundations")
    torch.manual_seed(0)
    save_conformer(root / "encoder")
    made = {}
    for kind, make in LLMS.items():
        torch.manual_seed(3)
        tokenizer = text_sides[kind].tokenizer
        llm = make(len(tokenizer))
        for name in ("eos_token_id", "pad_token_id", "bos_token_id"):
            setattr(llm.config, name, getattr(tokenizer, name))
            setattr(llm.generation_config, name, getattr(tokenizer, name))
        for (
            parameter
        ) in llm.parameters():  # random models are all alike otherwise: the sound must matter
            parameter.data *= 3
        llm.save_pretrained(root / kind)
        tokenizer.save_pretrained(root / kind)
        model = SpeechVerseForConditionalGeneration.from_foundations(
            root / "encoder",
            root / kind,
            layer_mixing="softmax",
            lora={"rank": 2},
            max_audio_seconds=4.0,
        )
        made[kind] = (model.eval(), model.processor())
    return made


@pytest.fixture(scope="session")
def sounds() -> list[np.ndarray]:
    """Noises of different length, 0.5 to 2 seconds."""
    draw = np.random.default_rng(0)
    return [
        draw.standard_normal(length).astype(np.float32) * 0.1
        for length in (8000, 32000, 16000, 24000, 12000)
    ]
