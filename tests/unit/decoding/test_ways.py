"""Ways to make an answer: drawn, with beams, without repetition, up to a stop string, in pieces."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
import torch

from speechverse.decoding import DecodingOptions, Question, answer_questions
from speechverse.decoding.drawing import Draw, drawing
from speechverse.decoding.wording import Pieces, Wording
from speechverse.errors import UserError
from speechverse.tasks import Matches, OneOf, SlotList

KINDS = ("t5", "bart", "llama")
SHORT = DecodingOptions(max_new_tokens=12)
DRAWN = SHORT.changed(temperature=1.5, seed=7)


def asked(processor, sounds, constraints):
    return [
        Question(
            "play the alarm",
            processor.num_positions("play the alarm", num_samples=len(sound)),
            samples=lambda sound=sound: sound,
            constraint=constraint,
            name=str(number),
        )
        for number, (sound, constraint) in enumerate(zip(sounds, constraints, strict=True))
    ]


def texts(model, processor, questions, options):
    return [made.text for made in answer_questions(model, processor, questions, options)]


@pytest.mark.parametrize("kind", KINDS)
def test_draws_are_the_same_for_a_seed_whatever_the_batch_and_others_for_another(
    speech_models, sounds, kind
):
    model, processor = speech_models[kind]
    questions = asked(processor, sounds, [None] * 5)
    together = texts(model, processor, questions, DRAWN)
    assert together == texts(model, processor, questions, DRAWN.changed(max_batch=2))
    assert together[3:] == texts(model, processor, questions[3:], DRAWN)
    assert together != texts(model, processor, questions, DRAWN.changed(seed=8))
    assert together != texts(model, processor, questions, SHORT)
    unseeded = SHORT.changed(temperature=1.5)
    assert texts(model, processor, questions, unseeded) != texts(
        model, processor, questions, unseeded
    )


def test_one_question_asked_again_in_a_call_is_drawn_anew(speech_models, sounds):
    model, processor = speech_models["bart"]
    [question] = asked(processor, sounds[:1], [None])
    drawn = texts(model, processor, [question] * 4, DRAWN)
    assert len(set(drawn)) > 1
    assert drawn == texts(model, processor, [question] * 4, DRAWN)


def test_temperature_0_and_one_token_to_draw_from_are_greedy(speech_models, sounds):
    model, processor = speech_models["t5"]
    questions = asked(processor, sounds[:3], [None] * 3)
    greedy = texts(model, processor, questions, SHORT)
    for options in ({"temperature": 0.0}, {"top_k": 1}, {"top_p": 1e-6}):
        assert texts(model, processor, questions, SHORT.changed(**options)) == greedy


def test_tokens_are_drawn_by_their_probabilities_and_impossible_ones_never():
    probabilities = torch.tensor([0.0, 0.5, 0.0, 0.3, 0.2, 0.0])
    draw = Draw([1])
    scores = probabilities.log()[None]
    drawn = [int(draw(torch.empty(1, 0), scores).argmax()) for _ in range(4000)]
    shares = torch.bincount(torch.tensor(drawn), minlength=6) / 4000
    assert shares.tolist() == pytest.approx(probabilities.tolist(), abs=0.03)
    assert shares[[0, 2, 5]].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("options", "shares"),
    [
        ({"temperature": 1.0}, [0.5, 0.3, 0.2]),
        ({"temperature": 0.5}, [0.658, 0.237, 0.105]),
        ({"top_k": 2}, [0.625, 0.375, 0]),
        ({"top_p": 0.6}, [0.625, 0.375, 0]),
    ],
)
def test_temperature_top_k_and_top_p_shape_what_is_drawn(options, shares):
    scores, drawn = torch.tensor([[0.5, 0.3, 0.2]]).log(), torch.zeros(3)
    chain = drawing(DecodingOptions(**options, seed=1), [1])
    for _ in range(3000):
        left = scores
        for step in chain:
            left = step(torch.empty(1, 0, dtype=torch.long), left)
        drawn[left.argmax()] += 1
    assert (drawn / 3000).tolist() == pytest.approx(shares, abs=0.04)


@pytest.mark.parametrize("kind", KINDS)
def test_beams_find_answers_likelier_than_the_greedy_ones(speech_models, sounds, kind):
    model, processor = speech_models[kind]
    questions = asked(processor, sounds, [None] * 5)
    told = [
        [
            sum(token.log_prob for token in made.logprobs)
            for made in answer_questions(
                model, processor, questions, SHORT.changed(num_beams=beams), logprobs=True
            )
        ]
        for beams in (1, 4)
    ]
    assert any(beams > greedy + 1e-3 for greedy, beams in zip(*told, strict=True))


@pytest.mark.parametrize(
    "options",
    [{"num_beams": 3}, {"temperature": 2.0, "seed": 3}, {"no_repeat_ngram_size": 1, "stop": ["a"]}],
    ids=["beams", "draws", "what is for free answers"],
)
@pytest.mark.parametrize("kind", KINDS)
def test_each_row_keeps_to_a_constraint_of_its_own(speech_models, sounds, kind, options):
    model, processor = speech_models[kind]
    wanted = SHORT.changed(max_new_tokens=40, **options)
    choices = [OneOf(("play", "play_music")), OneOf(("one", "alarm set")), OneOf(("alarm", "set"))]
    for number, constraint in enumerate(choices):
        made = answer_questions(model, processor, asked(processor, sounds[:3], choices), wanted)[
            number
        ]
        assert made.text in constraint.choices and not made.cut
    patterns = [Matches("(one|set){2}"), Matches("a+b"), Matches("x( y){3}")]
    made = answer_questions(model, processor, asked(processor, sounds[:3], patterns), wanted)
    for answer, pattern in zip(made, patterns, strict=True):
        assert answer.cut or re.fullmatch(pattern.regex, answer.text)
    slots = answer_questions(
        model, processor, asked(processor, sounds[:2], [SlotList(("room",))] * 2), wanted
    )
    assert all(answer.cut or answer.text == "none" or "room =" in answer.text for answer in slots)


def test_why_an_answer_under_a_constraint_ended(speech_models, sounds):
    model, processor = speech_models["llama"]
    [bound, _] = answer_questions(
        model, processor, asked(processor, sounds[:2], [OneOf(("play", "one"))] * 2), SHORT
    )
    assert bound.ended == "constraint"
    [endless] = answer_questions(
        model, processor, asked(processor, sounds[:1], [Matches("a{40}")]), SHORT
    )
    assert endless.ended == "length" and endless.cut


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_ends_before_a_stop_string(speech_models, sounds, kind):
    model, processor = speech_models[kind]
    questions = asked(processor, sounds, [None] * 5)
    whole = answer_questions(model, processor, questions, SHORT)
    pairs = [pair for made in whole for pair in re.findall("[a-z ]{2}", made.text)]
    stop = pairs[len(pairs) // 2]
    options = SHORT.changed(stop=[stop])
    stopped = answer_questions(model, processor, questions, options)
    for before, after in zip(whole, stopped, strict=True):
        assert after.text == before.text.split(stop)[0].strip()
        assert (after.ended == "stop") == (stop in before.text)
        assert after.ended != "stop" or not after.cut
    alone = [answer_questions(model, processor, [one], options)[0] for one in questions]
    assert stopped == alone


@pytest.mark.parametrize("kind", KINDS)
def test_beams_end_before_stop_strings_too(speech_models, sounds, kind):
    model, processor = speech_models[kind]
    questions = asked(processor, sounds, [None] * 5)
    letters = SHORT.changed(num_beams=2, stop=list("abcdefghijklmnopqrstuvwxyz"))
    made = answer_questions(model, processor, questions, letters)
    assert not any(re.search("[a-z]", answer.text) for answer in made)
    # bart's random bytes get by without letters
    assert kind == "bart" or "stop" in {answer.ended for answer in made}


def test_no_run_of_tokens_comes_twice_where_that_is_forbidden(speech_models, sounds):
    model, processor = speech_models["bart"]
    questions = asked(processor, sounds, [None] * 5)
    options = SHORT.changed(max_new_tokens=30, no_repeat_ngram_size=1)
    for made in answer_questions(model, processor, questions, options, logprobs=True):
        said = [token.text for token in made.logprobs if token.text]
        assert len(set(said)) == len(said)
    assert texts(model, processor, questions, SHORT.changed(repetition_penalty=5.0)) != texts(
        model, processor, questions, SHORT
    )


@pytest.mark.parametrize(
    "options", [{}, {"num_beams": 2}, {"temperature": 1.0, "seed": 1}, {"max_new_tokens": 1}]
)
@pytest.mark.parametrize("kind", KINDS)
def test_log_probabilities_are_the_models_own_and_their_texts_the_answer(
    speech_models, sounds, kind, options
):
    model, processor = speech_models[kind]
    questions = asked(processor, sounds[:2], [None, OneOf(("play_music", "alarm"))])
    options = SHORT.changed(**options)
    free, chosen = answer_questions(model, processor, questions, options, logprobs=True)
    assert "".join(token.text for token in free.logprobs) == free.text
    assert "".join(token.text for token in chosen.logprobs) == chosen.text
    batch = processor(["play the alarm"], audio=[sounds[1]], targets=[chosen.text])
    with torch.no_grad():
        forced = model(**batch).logits.float().log_softmax(-1)[0]
    labels = batch["labels"][0].tolist()
    expected = [forced[place, token].item() for place, token in enumerate(labels) if token >= 0]
    assert [token.log_prob for token in chosen.logprobs] == pytest.approx(expected, abs=1e-3)
    assert all(token.log_prob <= 0 and math.isfinite(token.log_prob) for token in free.logprobs)
    assert answer_questions(model, processor, questions, options)[0].logprobs is None


@pytest.mark.parametrize(
    "options", [{}, {"temperature": 1.5, "seed": 2}, {"stop": ["a", "io"]}, {"max_new_tokens": 1}]
)
@pytest.mark.parametrize("kind", KINDS)
def test_pieces_joined_are_the_answer(speech_models, sounds, kind, options):
    model, processor = speech_models[kind]
    options, constraints = SHORT.changed(max_new_tokens=30).changed(**options), [None]
    if "stop" not in options.model_fields_set:
        constraints += [OneOf(("play_music", "alarm")), Matches("(one|set){3}")]
    for constraint in constraints:
        for question in asked(processor, sounds, [constraint] * 5):
            pieces = []
            told = replace(question, on_piece=pieces.append)
            [made] = answer_questions(model, processor, [told], options)
            assert "".join(pieces) == made.text
            assert made == answer_questions(model, processor, [question], options)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_told_side_by_side_and_one_that_nobody_waits_for_ends_alone(
    speech_models, sounds, kind
):
    model, processor = speech_models[kind]
    options, questions = SHORT.changed(max_new_tokens=20), asked(processor, sounds[:3], [None] * 3)
    alone = texts(model, processor, questions, options)
    pieces, told = [[], [], []], []
    for question, mine in zip(questions, pieces, strict=True):
        told.append(replace(question, on_piece=mine.append))
    steps = iter(range(20))
    told[1] = replace(told[1], unwanted=lambda: next(steps) == 4)
    made = answer_questions(model, processor, told, options)
    assert ["".join(some) for some in pieces] == [answer.text for answer in made]
    assert [made[0].text, made[2].text] == [alone[0], alone[2]]
    assert alone[1].startswith(made[1].text) and made[1].text != alone[1]
    pads_with_end = processor.config.pad_id == processor.end_token_id  # which then closes it
    assert made[1].num_tokens == 5 + pads_with_end


@pytest.mark.parametrize("kind", ["bart", "llama"])
def test_a_piece_is_never_half_a_character(speech_models, kind):
    processor = speech_models[kind][1]
    for text in ("naïve 日本語 ok", "ça va, très bien 🙂🙂 fin", "日本"):
        tokens = processor.encode_target(text)
        pieces = Pieces(Wording(processor))
        told = [pieces.add(token) for token in tokens]
        assert "\ufffd" not in "".join(told)
        assert "".join(told) + pieces.rest(text) == text
        assert kind == "llama" or len([piece for piece in told if piece]) > 1


def test_a_stop_string_of_several_tokens_is_held_back_until_it_is_none(speech_models):
    processor = speech_models["bart"][1]
    tokens = processor.encode_target("play it STOs well STOP now")
    pieces = Pieces(Wording(processor, ["STOP"]))
    told = [pieces.add(token) for token in tokens]
    assert "".join(told) == "play it STOs well"
    assert all("ST" not in "".join(told[:n]) or "STOs" in "".join(told[:n]) for n in range(20))


def test_what_comes_in_no_pieces_is_not_streamed(speech_models, sounds):
    model, processor = speech_models["t5"]
    free, closed = asked(processor, sounds[:2], [None, OneOf(("play", "one"))])
    for questions, options, told in (
        ([free], SHORT.changed(num_beams=2), "num_beams cannot be streamed"),
        ([closed], SHORT.changed(choice_mode="score"), "nothing to stream"),
    ):
        with pytest.raises(UserError, match=told):
            told = [replace(question, on_piece=print) for question in questions]
            answer_questions(model, processor, told, options)
