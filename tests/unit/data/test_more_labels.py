"""Labels from another file, joined to utterances that are there already."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from noise_corpus import in_memory, utterances

from speechverse.data import Corpus, Mixture, MixtureItem
from speechverse.errors import CorpusError

SPLITS = ("train", "test")
PAIRS = [{"instruction": f"Do {number}.", "answer": f"done {number}"} for number in range(3)]


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return in_memory(utterances(tmp_path, 4))


def joined(corpus: Corpus, tmp_path: Path, *lines: dict) -> list[dict]:
    (tmp_path / "more.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return [
        dict(one.labels) for one in corpus.with_labels(tmp_path / "more.jsonl").utterances("train")
    ]


def test_a_line_is_joined_by_id_or_by_text_and_the_others_are_as_they_were(
    corpus, tmp_path
) -> None:
    first, second, *others = corpus.utterances("train")
    by_text = {"text": second.text, "split": "train", "instructions": PAIRS}
    found = joined(
        corpus, tmp_path, {"id": first.id, "text": "not looked at", "mood": "calm"}, by_text
    )
    assert found[0] == {**first.labels, "mood": "calm"} and found[1] == {
        **second.labels,
        "instructions": PAIRS,
    }
    assert found[2:] == [other.labels for other in others]


def test_an_id_that_two_splits_have_names_no_clip(tmp_path) -> None:
    clips = utterances(tmp_path, 1)
    splits = {split: [replace(clips[0], id="clips/0", text=f"in {split}")] for split in SPLITS}
    both = Corpus("m", {}, {}, {}, splits)
    with pytest.raises(CorpusError, match="in several splits of corpus 'm', such as 'clips/0'"):
        joined(both, tmp_path, {"id": "clips/0", "mood": "calm"})
    [labels] = joined(both, tmp_path, {"text": "in train", "mood": "calm"})
    assert labels["mood"] == "calm"


def test_labels_that_contradict_or_cannot_be_are_refused(corpus, tmp_path) -> None:
    first = corpus.utterances("train")[0]
    with pytest.raises(CorpusError, match=r"says emotion = .*'u0', which has"):
        joined(
            corpus,
            tmp_path,
            {"id": first.id, "emotion": "happy" if first.labels["emotion"] != "happy" else "sad"},
        )
    for line, says in (
        ({"id": "u0", "intent": "intent_99"}, "unknown intent label"),
        ({"intent": "intent_1"}, "neither an 'id' nor a 'text'"),
        (
            {"id": "u0", "instructions": [{"instruction": "Do it."}]},
            "'instructions' should be a list of",
        ),
        (
            {"id": "u0", "instructions": [{"instruction": " ", "answer": "yes"}]},
            "'instructions' should be a list of",
        ),
    ):
        with pytest.raises(CorpusError, match=rf"(?s)1 of 1 lines cannot be joined.*{says}"):
            joined(corpus, tmp_path, line)
    with pytest.raises(CorpusError, match="other labels than an earlier line of the same id"):
        joined(corpus, tmp_path, {"id": "u0", "mood": "calm"}, {"id": "u0", "mood": "grim"})


def test_every_instruction_of_a_clip_is_learnt_before_one_comes_again(corpus, tmp_path) -> None:
    lines = [{"id": one.id, "instructions": PAIRS} for one in corpus.utterances("train")[:2]]
    (tmp_path / "more.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    mixture = Mixture([MixtureItem(corpus.with_labels(tmp_path / "more.jsonl"), "follow")])
    assert mixture.num_clips == 2
    for passes in ((0, 1, 2), (3, 4, 5)):
        drawn = [mixture.example(draw) for number in passes for draw in mixture.draws(number)]
        assert len({(example.utterance.id, example.target) for example in drawn}) == len(drawn) == 6


def test_lines_that_are_for_no_clip_are_counted_and_a_file_of_them_is_refused(
    corpus, tmp_path, caplog
) -> None:
    joined(
        corpus,
        tmp_path,
        {"id": "u0", "mood": "calm"},
        {"id": "nobody", "mood": "calm"},
        {"text": "not said"},
    )
    assert "2 of 3 labelled ids and texts are no clip's of corpus" in caplog.text
    with pytest.raises(
        CorpusError,
        match=r"1 of 1 labelled .* \(such as 'nobody'\): is it the file of another corpus",
    ):
        joined(corpus, tmp_path, {"id": "nobody", "mood": "calm"})
