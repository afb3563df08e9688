"""The collator and the cache with the real processor and a microscopic random model."""

from __future__ import annotations

import itertools

import pytest
import torch
import transformers
from noise_corpus import WORDS
from tokenizers import Tokenizer, models, pre_tokenizers

from microscopic import bart, save_conformer
from speechverse.data import (
    BatchPlan,
    Collator,
    FeatureCache,
    Mixture,
    MixtureItem,
    PlanLoader,
    length_function,
)
from speechverse.models import SpeechVerseForConditionalGeneration


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("foundations")
    torch.manual_seed(0)
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    words = Tokenizer(
        models.WordLevel(
            {word: n for n, word in enumerate([*special, *sorted(set(WORDS))])}, "<unk>"
        )
    )
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=words,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
    )
    tokenizer.save_pretrained(folder / "llm")
    ids = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
    bart(len(tokenizer), **ids).save_pretrained(folder / "llm")
    save_conformer(folder / "encoder", vocab_size=8, pad_token_id=0)
    made = SpeechVerseForConditionalGeneration.from_foundations(folder / "encoder", folder / "llm")
    return made.eval()


def test_features_from_the_cache_give_what_audio_gives(corpus, model, tmp_path):
    corpus.utterances("train")[2].audio.path.write_text("no sound")
    processor = model.processor()
    cache = FeatureCache.build(model.encoder, corpus.utterances("train"), tmp_path / "cache")
    assert len(cache) == 39 and (cache.num_layers, cache.width) == (2, 16)

    def steps(used):
        plan = BatchPlan(Mixture([MixtureItem(corpus, "ic")]), length_function(processor), 300)
        return itertools.islice(PlanLoader(plan, Collator(processor, used), num_workers=1), 6)

    for live, kept in zip(steps(None), steps(cache), strict=True):
        [heard], [read] = live.batches, kept.batches
        assert heard.examples == read.examples and heard.skipped.keys() == read.skipped.keys()
        good = torch.tensor([row not in heard.skipped for row in range(len(heard.examples))])
        with torch.no_grad():
            outputs = [model(**batch.inputs).logits[good] for batch in (heard, read)]
        torch.testing.assert_close(*outputs, atol=1e-2, rtol=1e-2)
        assert (read.inputs["labels"][~good] == -100).all()


def test_a_batch_takes_as_many_positions_as_were_planned(corpus, model):
    processor = model.processor()
    plan = BatchPlan(Mixture([MixtureItem(corpus, "asr")]), length_function(processor), 300)
    for step in itertools.islice(plan.steps(), 5):
        [batch] = step.micro_batches
        inputs = Collator(processor)(batch.examples).inputs
        rows = inputs["attention_mask"].sum(1) + (inputs["labels"] != -100).sum(1)
        assert tuple(rows.tolist()) == batch.positions
