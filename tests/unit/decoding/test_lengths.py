"""An answer knows why it ended, and keeps to its limit and the LLM's positions; no neighbour in a
batch changes it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers

from microscopic import bart, byte_level, save_conformer
from speechverse.decoding import DecodingOptions, Question, answer_questions
from speechverse.decoding.lengths import Limit, ending
from speechverse.decoding.questions import default_limit
from speechverse.errors import AudioTooLongError
from speechverse.models import SpeechVerseForConditionalGeneration
from speechverse.tasks import Matches, OneOf

POSITIONS = 96
OPT = {"word_embed_proj_dim": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "ffn_dim": 16}
IDS = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
LLMS = {
    "gpt2": lambda size: transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=size, n_positions=POSITIONS, n_embd=16, n_layer=1, n_head=2, **IDS
        )
    ),
    "opt": lambda size: transformers.OPTForCausalLM(
        transformers.OPTConfig(
            vocab_size=size, max_position_embeddings=POSITIONS, hidden_size=16, **OPT, **IDS
        )
    ),
    "bart": lambda size: bart(size, max_position_embeddings=POSITIONS, **IDS),
    "pegasus": lambda size: bart(size, "Pegasus", max_position_embeddings=POSITIONS, **IDS),
}


@pytest.fixture(scope="module")
def endless(tmp_path_factory):
    """Models with 96 learned positions that never end an answer by themselves."""
    root, made = tmp_path_factory.mktemp("parts"), {}
    tokenizer = byte_level([], ["<pad>", "</s>", "<s>"], bos_token="<s>")
    save_conformer(root / "encoder")
    for kind, make in LLMS.items():
        torch.manual_seed(4)
        make(len(tokenizer)).save_pretrained(root / kind)
        tokenizer.save_pretrained(root / kind)
        model = SpeechVerseForConditionalGeneration.from_foundations(
            root / "encoder", root / kind
        ).eval()
        model.llm.generation_config.suppress_tokens = [tokenizer.eos_token_id]
        made[kind] = (model, model.processor())
    return made


@pytest.fixture
def guarded():
    """Random models turn in circles; here they are stopped, in the other tests they may go on."""


@pytest.fixture(autouse=True)
def unguarded(request, monkeypatch):
    if "guarded" not in request.fixturenames:
        monkeypatch.setattr("speechverse.decoding.constraint.is_loop", lambda tokens: False)


def asked(processor, seconds, constraint=None, instruction="what is said"):
    sound = (
        np.random.default_rng(0).standard_normal(round(16_000 * seconds)).astype(np.float32) * 0.1
    )
    length = processor.num_positions(instruction, num_samples=len(sound))
    return Question(
        instruction, length, samples=lambda: sound, constraint=constraint, seconds=seconds
    )


@pytest.mark.parametrize("beams", [1, 2])
@pytest.mark.parametrize("kind", LLMS)
def test_answers_end_at_the_last_position_and_say_so(endless, kind, beams):
    model, processor = endless[kind]
    questions = [asked(processor, seconds) for seconds in (0.5, 3.0)]
    questions.append(asked(processor, 0.5, instruction="what is said " * 4))
    options = DecodingOptions(max_new_tokens=200, num_beams=beams)
    together = answer_questions(model, processor, questions, options)
    assert together == [
        answer_questions(model, processor, [question], options)[0] for question in questions
    ]
    for question, made in zip(questions, together, strict=True):
        shared = 0 if model.config.is_encoder_decoder else question.num_positions - 1
        assert (made.ended, made.limit, made.cut) == ("positions", POSITIONS - shared, True)


@pytest.mark.parametrize("kind", LLMS)
def test_a_prompt_or_a_choice_beyond_the_positions_is_refused_before_it_is_answered(endless, kind):
    model, processor = endless[kind]
    with pytest.raises(AudioTooLongError, match=f"more than the {POSITIONS} this LLM can read"):
        answer_questions(model, processor, [asked(processor, 0.5, instruction="x" * POSITIONS)])
    long = OneOf(("yes", "n" * (POSITIONS if model.config.is_encoder_decoder else POSITIONS - 10)))
    for mode in ("constrain", "score"):
        with pytest.raises(AudioTooLongError, match=f"more than the {POSITIONS} this LLM can read"):
            answer_questions(
                model, processor, [asked(processor, 0.5, long)], DecodingOptions(choice_mode=mode)
            )


@pytest.mark.parametrize("kind", ["gpt2", "opt"])
def test_choices_of_unlike_length_are_scored_up_to_the_last_position(endless, kind):
    model, processor = endless[kind]
    short, long = (
        asked(processor, 1.0, OneOf(("yes", "no"))),
        asked(processor, 1.0, OneOf(("a" * 60, "no"))),
    )
    filling = " " * (POSITIONS - 3 - short.num_positions)
    brimful = replace(
        short,
        instruction=short.instruction + filling,
        num_positions=short.num_positions + len(filling),
    )
    options = DecodingOptions(choice_mode="score")
    together = answer_questions(model, processor, [brimful, long], options)
    for question, made in zip((brimful, long), together, strict=True):
        alone = answer_questions(model, processor, [question], options)[0]
        assert made.text == alone.text
        assert list(made.choice_scores.values()) == pytest.approx(
            list(alone.choice_scores.values()), abs=1e-4
        )


@pytest.mark.parametrize("kind", LLMS)
def test_an_answer_at_its_limit_says_that_it_is_cut(endless, kind):
    model, processor = endless[kind]
    made = answer_questions(
        model, processor, [asked(processor, 0.5)], DecodingOptions(max_new_tokens=3)
    )[0]
    assert (made.ended, made.limit, made.cut) == ("length", 3, True)


@pytest.mark.parametrize("beams", [1, 2])
def test_the_limit_grows_with_each_clip_and_no_neighbour_changes_it(endless, beams):
    model, processor = endless["pegasus"]
    questions = [asked(processor, seconds) for seconds in (0.5, 2.0, 1.0)]
    options = DecodingOptions(num_beams=beams)
    together = answer_questions(model, processor, questions, options)
    assert (
        [made.limit for made in together]
        == [36, 48, 40]
        == [default_limit(q.seconds) for q in questions]
    )
    assert {made.ended for made in together} == {"length"}
    assert together == [
        answer_questions(model, processor, [question], options)[0] for question in questions
    ]


@pytest.mark.parametrize("kind", LLMS)
def test_choices_are_never_cut(endless, kind):
    model, processor = endless[kind]
    model.llm.generation_config.suppress_tokens = None
    question = asked(processor, 0.5, OneOf(("a long choice", "no")))
    for mode in ("constrain", "score"):
        options = DecodingOptions(max_new_tokens=1, choice_mode=mode)
        made = answer_questions(model, processor, [question], options)[0]
        assert made.text in ("a long choice", "no")
        assert made.ended == "constraint" and not made.cut
    model.llm.generation_config.suppress_tokens = [processor.end_token_id]


def test_an_answer_that_turns_in_circles_says_so(endless, guarded):
    model, processor = endless["bart"]
    own, size = model.llm.generation_config.suppress_tokens, len(processor.tokenizer)
    model.llm.generation_config.suppress_tokens = [token for token in range(size) if token != 50]
    made = answer_questions(
        model, processor, [asked(processor, 0.5)], DecodingOptions(max_new_tokens=60)
    )[0]
    model.llm.generation_config.suppress_tokens = own
    assert (made.ended, made.cut) == ("loop", True)


def test_padding_that_is_the_end_token_too_is_no_end():
    limit = Limit(3, "length")
    assert ending([7, 8, 9, 1, 1], limit, {1}, looped=False) == ([7, 8, 9], "length", 3)
    assert ending([7, 8, 1, 1, 1], limit, {1}, looped=False) == ([7, 8, 1], "end", 3)
    assert ending([7], limit, {1}, looped=False) == ([7], "length", 3)


def test_a_form_has_room_however_short_the_clip(endless):
    model, processor = endless["pegasus"]
    question = replace(asked(processor, 0.5), constraint=Matches("a+"))
    [made] = answer_questions(model, processor, [question], DecodingOptions())
    room = processor.room(processor.lengths(question.instruction, num_samples=8000)[0])
    wanted = default_limit(processor.max_audio_seconds)
    assert made.limit == (wanted if room is None else min(wanted, room)) > default_limit(0.5)
    [short] = answer_questions(model, processor, [question], DecodingOptions(max_new_tokens=3))
    assert short.limit == 3
