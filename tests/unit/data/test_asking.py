"""What of a split a task is asked, and how what it is not asked is counted and told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from noise_corpus import in_memory, utterances

from speechverse.data import Corpus, Mixture, MixtureItem, collect_labels, render_split
from speechverse.errors import CorpusError
from speechverse.tasks import LabelSet, OneOf, PromptSet, Task
from speechverse.types import Origin, Utterance


def labelled(tmp_path: Path, *labels: dict, text: str | None = "turn on the light") -> Corpus:
    """A corpus of one clip a set of labels, read from lines of a file."""
    made = [
        replace(clip, text=text, labels=own, origin=Origin(Path("mine.jsonl"), number))
        for number, (clip, own) in enumerate(
            zip(utterances(tmp_path, len(labels)), labels, strict=True), start=1
        )
    ]
    return in_memory(made)


def test_a_translation_into_an_unknown_language_costs_that_question_and_no_other(tmp_path):
    both = {"translations": {"de": "mach das licht an", "zh": "开灯"}}
    corpus = labelled(
        tmp_path, {"translations": {"de": "licht an"}}, both, {"translations": {"zh": "开灯"}}
    )
    rendered = render_split(corpus, "train", "st", wording="seen")
    assert [example.id for example in rendered.examples] == ["u0/st/de", "u1/st/de"]
    assert list(rendered.left_out.refused) == ["u1/zh", "u2/zh"]
    assert "mine.jsonl line 2: task 'st': " in str(
        rendered.left_out
    ) and "unknown language 'zh'" in str(rendered.left_out)


def test_training_draws_no_question_whose_label_cannot_be_used(tmp_path):
    both = {"translations": {"de": "mach das licht an", "zh": "开灯"}}
    mixture = Mixture(
        [MixtureItem(labelled(tmp_path, both, both, {"translations": {"zh": "x"}}), "st")],
        pass_size=40,
    )
    groups = {mixture.example(draw).group for draw in mixture.draws(0)}
    assert groups == {"de"} and len(mixture.sources[0].utterances) == 2
    assert len(mixture.sources[0].left_out.refused) == 3


def test_keyword_search_without_keywords_is_refused_however_the_words_are_drawn(tmp_path):
    corpus = labelled(tmp_path, {}, {})
    with pytest.raises(
        CorpusError, match=r"2 × task 'kws': no clip has 'keywords'.*first: mine.jsonl line 1"
    ):
        render_split(corpus, "train", "kws")
    with pytest.raises(CorpusError, match="no clip has 'keywords'"):
        Mixture([MixtureItem(corpus, "kws")])


def test_an_empty_text_is_counted_as_one(tmp_path):
    corpus = labelled(tmp_path, {}, {}, {})
    corpus.utterances("train")[1:] = [
        replace(clip, text=" ") for clip in corpus.utterances("train")[1:]
    ]
    rendered = render_split(corpus, "train", "asr")
    assert len(rendered.examples) == 1
    assert rendered.left_out.lacking == {"its text is empty, so nobody speaks": 2}


def test_nothing_is_lost_without_being_counted(tmp_path):
    odd = (
        {"num_speakers": 1},
        {"num_speakers": 7},
        {},
        {"slots": [["a", "b=c;d"]]},
        {"is_speech": False},
    )
    corpus = labelled(tmp_path, *odd)
    for task in ("sc", "sf", "asr"):
        try:
            rendered = render_split(corpus, "train", task)
        except CorpusError:
            continue
        left_out = rendered.left_out
        assert len(rendered.examples) + left_out.lacking.total() + len(left_out.refused) == len(odd)


def test_a_target_of_one_s_own_that_fails_costs_the_line_that_it_fails_at(tmp_path):
    def target(utterance: Utterance) -> str:
        return utterance.labels["rating"]["stars"]

    rating = Task(
        name="rating",
        title="Rating",
        group="own",
        prompts=PromptSet(seen=("How many stars?",)),
        requires=("rating",),
        target=target,
        metrics=("accuracy",),
    )
    corpus = labelled(
        tmp_path, {"rating": {"stars": "five"}}, {"rating": 5}, {"rating": {"stars": 5}}
    )
    rendered = render_split(corpus, "train", rating, wording="seen")
    assert [example.target for example in rendered.examples] == ["five"]
    assert "mine.jsonl line 2: task 'rating'" in str(rendered.left_out)
    assert "which is no text" in rendered.left_out.refused["u2"].reason


def test_a_label_outside_its_set_costs_its_line(tmp_path):
    corpus = labelled(tmp_path, {"intent": "play"}, {"intent": "stop"})
    corpus.labels = collect_labels(corpus.utterances("train")[:1])
    rendered = render_split(corpus, "train", "ic")
    assert len(rendered.examples) == 1 and "'stop'" in rendered.left_out.refused["u1"].reason


def test_names_of_a_field_of_one_s_own_are_those_its_clips_use(tmp_path):
    corpus = labelled(tmp_path, {"mood": "glad"}, {"mood": "cross"}, {"mood": "glad"})
    mood = Task(
        name="mood",
        title="Mood",
        group="own",
        prompts=PromptSet(seen=("Which mood? {labels}",)),
        requires=("mood",),
        target=lambda utterance: utterance.labels["mood"],
        label_field="mood",
        constraint=OneOf,
        metrics=("accuracy",),
    )
    examples = render_split(corpus, "train", mood, wording="seen").examples
    assert {example.choices for example in examples} == {("cross", "glad")}
    assert all(name in examples[0].instruction for name in ("cross", "glad"))
    assert "mood" not in corpus.labels
    mixture = Mixture([MixtureItem(corpus, mood)], pass_size=2)
    assert mixture.example(next(iter(mixture.draws(0)))).choices == ("cross", "glad")
    listed = replace(mood, labels=LabelSet("mood", {"glad": "", "cross": "", "calm": ""}))
    examples = render_split(corpus, "train", listed, wording="seen").examples
    assert {example.choices for example in examples} == {("glad", "cross", "calm")}
