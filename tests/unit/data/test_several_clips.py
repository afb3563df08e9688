"""Lines of a JSONL file that name two clips: read, mixed, collated, trained on, evaluated."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from microscopic import save_letters_checkpoint
from speechverse.audio import Waveform, save
from speechverse.data import Corpus, FeatureCache, write_corpus
from speechverse.data.collate import Collator, length_function
from speechverse.data.mixture import Mixture, MixtureItem
from speechverse.decoding import DecodingOptions, answer
from speechverse.errors import CorpusError
from speechverse.evaluation import EvaluationSettings, evaluate
from speechverse.evaluation.report import write_report
from speechverse.models import SpeechVerseForConditionalGeneration

ASKED = {"instruction": "Who says <|audio|>, who <|audio|>?", "answer": "anna, ben"}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """A folder with four clips and lines that name two of them each."""
    folder = tmp_path_factory.mktemp("pairs")
    draw = np.random.default_rng(0)
    for name, seconds in zip("abcd", (0.5, 0.8, 0.6, 0.7), strict=True):
        sound = draw.standard_normal(round(seconds * 16_000)).astype(np.float32) * 0.1
        save(folder / f"{name}.wav", Waveform(sound))
    lines = [
        {"audio": ["a.wav", "b.wav"], "text": ["one", "two"], "instructions": [ASKED]},
        {"audio": ["c.wav", "d.wav"], "text": ["three", "four"], "instructions": [ASKED]},
        {"audio": "a.wav", "text": "one"},
    ]
    (folder / "lines.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture(scope="module")
def corpus(pairs):
    return Corpus.from_jsonl("pairs", {"train": pairs / "lines.jsonl"})


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    folder = save_letters_checkpoint(tmp_path_factory.mktemp("parts"), max_audio_seconds=2.0)
    model = SpeechVerseForConditionalGeneration.from_pretrained(folder).eval()
    return model, model.processor()


def test_a_line_with_two_clips_is_asked_what_is_about_both_and_nothing_else(corpus):
    mixture = Mixture([MixtureItem(corpus, "follow"), MixtureItem(corpus, "asr")], turns=1.0)
    assert [len(source.utterances) for source in mixture.sources] == [2, 1]
    [reason] = mixture.sources[1].left_out.lacking
    assert reason == "it has several clips, and the task asks about one"
    examples = [mixture.example(draw) for draw in mixture.draws(0) if draw.item == 0]
    assert all(example.prompt.num_clips == 2 and not example.earlier for example in examples)


def test_both_clips_are_heard_read_and_kept_at_their_signs(corpus, loaded, tmp_path):
    model, processor = loaded
    mixture = Mixture([MixtureItem(corpus, "follow")])
    examples = [mixture.example(draw) for draw in mixture.draws(0)]
    clips = [clip for example in examples for clip in example.utterance.clips]
    cache = FeatureCache.build(model.encoder, clips, tmp_path / "heard", dtype=torch.float32)
    assert len(cache) == 4
    with torch.no_grad():
        heard, kept, read = (
            model(**Collator(processor, *how)(examples).inputs).logits
            for how in ((None,), (cache,), (None, "transcript"))
        )
    assert torch.allclose(heard, kept, atol=1e-4)
    lengths = [length_function(processor)(example) for example in examples]
    batch = Collator(processor)(examples).inputs
    positions = batch["attention_mask"].sum(dim=1) + (batch["labels"] >= 0).sum(dim=1)
    assert positions.tolist() == lengths
    assert read.shape[0] == 2
    short = DecodingOptions(max_new_tokens=4)
    assert answer(model, processor, examples, short) == answer(
        model, processor, examples, short, cache=cache
    )


def test_what_is_about_two_clips_is_evaluated_with_the_oracle_and_the_control_beside(
    corpus, loaded, tmp_path
):
    settings = EvaluationSettings(
        split="train",
        tasks=("follow",),
        systems=("speechverse", "oracle", "other-clip"),
        decoding=DecodingOptions(max_new_tokens=4),
        num_resamples=10,
    )
    evaluate(*loaded, corpus, settings, output=tmp_path, features=tmp_path / "heard")
    rows = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert len(rows) == 6
    assert {row["transcript"] for row in rows if row["system"] == "oracle"} == {
        "one\ntwo",
        "three\nfour",
    }
    page = write_report(tmp_path).read_text()
    assert page.count('class="example"') == 2 and page.count('src="data:audio') == 4


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ({"audio": ["a.wav"]}, "two or more"),
        ({"audio": ["a.wav", "b.wav"], "text": "one"}, "a text for each of the 2 clips"),
        ({"audio": ["a.wav", "b.wav"], "start": 1.0}, "leave out 'start'"),
        ({"audio": ["a.wav", "missing.wav"]}, "missing.wav is missing"),
    ],
)
def test_wrong_lines_with_several_clips_are_told(pairs, line, told):
    path = pairs / "wrong.jsonl"
    path.write_text(json.dumps(line) + "\n")
    with pytest.raises(CorpusError, match=told):
        Corpus.from_jsonl("wrong", {"train": path})


def test_an_instruction_with_too_few_signs_is_not_asked(pairs):
    path = pairs / "few.jsonl"
    lines = [
        {"audio": ["a.wav", "b.wav"], "instructions": [{**ASKED, "instruction": "Who is it?"}]},
        {"audio": ["a.wav", "b.wav"], "instructions": [ASKED]},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    mixture = Mixture([MixtureItem(Corpus.from_jsonl("few", {"train": path}), "follow")])
    assert len(mixture.sources[0].utterances) == 1
    assert "2 clips, but 0 <|audio|> signs" in str(mixture.sources[0].left_out)


def test_a_corpus_folder_refuses_them(corpus, tmp_path):
    with pytest.raises(CorpusError, match="leave lines with several clips in a JSONL file"):
        write_corpus(tmp_path / "folder", "pairs", {"train": corpus.utterances("train")})
