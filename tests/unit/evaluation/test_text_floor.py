"""The text floor reads Whisper's text and learns from true texts."""

from __future__ import annotations

from speechverse.data import render_for_evaluation
from speechverse.decoding import DecodingOptions
from speechverse.evaluation.systems import Parts, make_systems


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


def test_without_texts_to_learn_from_it_is_not_measured(loaded, corpus) -> None:
    examples = render_for_evaluation(corpus, "test", "ic", wording="seen")
    [floor] = make_systems(["tf-idf"], Parts(*loaded, DecodingOptions(), whisper=Heard()))  # type: ignore[arg-type]
    assert floor.missing(examples) == "no training split shows it two different answers"
