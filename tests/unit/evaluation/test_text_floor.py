"""Systems that read Whisper's text: the text floor, and the specialist's keyword search."""

from __future__ import annotations

from dataclasses import replace

from speechverse.data import render_for_evaluation
from speechverse.decoding import DecodingOptions
from speechverse.evaluation.parts import Parts, make_systems


class Heard:
    """A Whisper that understands every word."""

    source, max_seconds = "all-knowing", 30.0


def test_it_tells_by_the_words_what_it_learned_of_them(loaded, corpus) -> None:
    def training(task: str) -> list:
        return render_for_evaluation(corpus, "train", task, wording="seen")

    parts = Parts(*loaded, DecodingOptions(), training_examples=training, whisper=Heard())  # type: ignore[arg-type]
    clips = [clip for clip in corpus.utterances("test") if clip.text]
    parts.transcripts["cascade-whisper"] = {clip.id: clip.text for clip in clips}
    [floor] = make_systems(["tf-idf"], parts)
    examples = [
        example
        for example in render_for_evaluation(corpus, "test", "ic", wording="seen")
        if example.utterance.text
    ]
    assert floor.missing(examples) is None
    made = floor.answer(examples)
    assert [answer.text for answer in made] == [example.target for example in examples]
    assert [answer.transcript for answer in made] == [ex.utterance.text for ex in examples]


def test_the_specialist_searches_whisper_s_text_for_the_keyword_and_nothing_else(
    loaded, corpus
) -> None:
    parts = Parts(*loaded, DecodingOptions(), whisper=Heard())  # type: ignore[arg-type]
    examples = render_for_evaluation(corpus, "test", "kws", wording="held_out")
    assert {example.target for example in examples} == {"yes", "no"}
    clips = [example.utterance for example in examples]
    parts.transcripts["cascade-whisper"] = {clip.id: clip.text.upper() for clip in clips}
    [specialist] = make_systems(["specialist"], parts)
    assert specialist.missing(examples) is None
    made = specialist.answer(examples)
    assert [answer.text for answer in made] == [example.target for example in examples]
    parts.transcripts["cascade-whisper"] = {clip.id: "something else" for clip in clips}
    assert {answer.text for answer in specialist.answer(examples)} == {"no"}


def test_without_texts_to_learn_from_it_is_not_measured(loaded, corpus) -> None:
    examples = render_for_evaluation(corpus, "test", "ic", wording="seen")
    [floor] = make_systems(["tf-idf"], Parts(*loaded, DecodingOptions(), whisper=Heard()))  # type: ignore[arg-type]
    assert floor.missing(examples) == "no training split shows it two different answers"


def test_numbers_are_compared_as_they_are_said(loaded, corpus) -> None:
    examples = [
        example
        for example in render_for_evaluation(corpus, "test", "ic", wording="seen")
        if example.utterance.text
    ]
    kinds = sorted({example.target for example in examples})
    said = {kinds[0]: ("seven", "7"), kinds[1]: ("three hundred", "300")}
    told = [example for example in examples if example.target in said]

    def training(task: str) -> list:
        return [
            replace(one, utterance=replace(one.utterance, text=said[one.target][0])) for one in told
        ]

    parts = Parts(*loaded, DecodingOptions(), training_examples=training, whisper=Heard())  # type: ignore[arg-type]
    parts.transcripts["cascade-whisper"] = {one.utterance.id: said[one.target][1] for one in told}
    [floor] = make_systems(["tf-idf"], parts)
    assert [answer.text for answer in floor.answer(told)] == [one.target for one in told]
