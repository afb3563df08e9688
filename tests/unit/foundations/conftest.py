from __future__ import annotations

import pytest
from transformers import PreTrainedTokenizerFast

from speechverse.foundations.lm_data import SampleMaker
from speechverse.foundations.practice import Practice
from speechverse.foundations.recipe import LmData, TokenizerRecipe
from speechverse.foundations.text_side import TextSide, world_words
from speechverse.foundations.world import label_sets, world_tokenizer


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    return world_tokenizer(TokenizerRecipe(vocab_size=1000, sentences=400))


@pytest.fixture(scope="session")
def text_side() -> TextSide:
    return TextSide(label_sets(), "train", seed=1, sentences=300)


@pytest.fixture(scope="session")
def maker(tokenizer: PreTrainedTokenizerFast, text_side: TextSide) -> SampleMaker:
    practice = Practice(world_words(text_side.utterances), text_side.tasks["asr"].prompts.seen)
    return SampleMaker(tokenizer, text_side, practice, LmData(batch_tokens=300))
