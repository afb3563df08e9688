"""The open-ended suite and its control, from end to end on random parts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from speechverse.data import render_for_evaluation, write_corpus
from speechverse.decoding import DecodingOptions
from speechverse.evaluation import EvaluationSettings, evaluate, load_answers, write_report
from speechverse.evaluation.cascades import SpeechVerseSystem
from speechverse.evaluation.control import OtherClip, pairs_of
from speechverse.evaluation.parts import Parts, make_systems

SAID = (
    "please play some jazz in the kitchen",
    "turn the light in the hall off now",
    "what is the time in Yorkshire today",
    "call my mother and my sister now",
)


@pytest.fixture(scope="module")
def talk(corpus, tmp_path_factory):
    """The noises, with sentences long enough to be asked about."""
    clips = [
        replace(clip, text=text)
        for clip, text in zip(corpus.utterances("test"), SAID, strict=False)
    ]
    return write_corpus(tmp_path_factory.mktemp("talk"), "talk", {"test": clips}, extra={"seed": 0})


def test_each_request_has_its_share_when_heard_read_and_heard_of_another_clip(
    loaded, talk, tmp_path
):
    settings = EvaluationSettings(
        tasks=("open", "open-shown"),
        systems=("speechverse", "other-clip", "oracle", "cascade"),
        num_resamples=20,
        decoding=DecodingOptions(max_new_tokens=6),
    )
    results = evaluate(*loaded, talk, settings, output=tmp_path)
    answers = load_answers(tmp_path)
    for record in answers:
        kind = next(part for part in record.slices if part.startswith("group: "))
        assert results.score(record.task, record.system, slice=kind) is not None
    assert {record.system for record in answers} == set(settings.systems)
    assert len([record for record in answers if record.task == "open"]) == 4 * 4 * 4


def test_the_page_shows_what_no_program_judges_side_by_side(loaded, talk, tmp_path):
    settings = EvaluationSettings(
        tasks=("open-shown",),
        systems=("speechverse", "oracle"),
        num_resamples=20,
        decoding=DecodingOptions(max_new_tokens=6),
    )
    evaluate(*loaded, talk, settings, output=tmp_path)
    page = write_report(tmp_path).read_text()
    shown = page[page.index("<h2>Side by side") :].partition("</section>")[0]
    assert shown.count("what is said</dt>") == 4 and shown.count("<dt>oracle</dt>") == 4
    assert "<h2>Worst answers" not in page


def test_the_control_hears_another_clip_whatever_is_asked_together(loaded, talk):
    examples = render_for_evaluation(talk, "test", "asr", wording="seen")
    control, model = (
        kind(Parts(*loaded, DecodingOptions(max_new_tokens=6)))
        for kind in (OtherClip, SpeechVerseSystem)
    )
    assert control.missing(examples) is None
    pairs = {clip.id: other for clip, other in pairs_of(talk.utterances("test"))}
    assert all(pairs[clip.id].text != clip.text for clip in talk.utterances("test"))
    swapped = [replace(one, utterance=pairs[one.utterance.id]) for one in examples]
    assert control.answer(examples) == model.answer(swapped)
    assert [made for one in examples for made in control.answer([one])] == control.answer(examples)


def test_there_is_no_control_where_all_clips_say_the_same(loaded, talk):
    examples = render_for_evaluation(talk, "test", "asr", wording="seen")
    same = [replace(one, utterance=replace(one.utterance, text="stop")) for one in examples]
    for asked in (same, examples[:1]):
        control = OtherClip(Parts(*loaded, DecodingOptions()))
        assert control.missing(asked) == "there is no other clip to hear"
    clips = [one.utterance for one in same]
    clips[0] = replace(clips[0], text="go")
    pairs = dict((clip.id, other) for clip, other in pairs_of(clips))
    assert len(pairs) == len(clips)
    assert all(pairs[clip.id].text != clip.text for clip in clips)


@pytest.mark.parametrize("name", ["oracle", "log-mel"])
def test_any_system_has_its_control(loaded, talk, name):
    examples = render_for_evaluation(
        talk, "test", "er" if name == "log-mel" else "asr", wording="seen"
    )
    control, system = make_systems([f"other-clip:{name}", name], Parts(*loaded, DecodingOptions()))
    assert control.name == f"other-clip:{name}" and control.missing(examples) is None
    pairs = {clip.id: other for clip, other in pairs_of(talk.utterances("test"))}
    swapped = [replace(one, utterance=pairs[one.utterance.id]) for one in examples]
    assert control.answer(examples) == system.answer(swapped)
