"""From questions to answers: order, batches, constraints, scores, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers

from speechverse.decoding import DecodingOptions, LoopGuard, Question, answer, answer_questions
from speechverse.decoding.constraint import is_loop
from speechverse.decoding.questions import pack
from speechverse.decoding.scoring import _refuse_recurrent, log_probs, token_log_probs
from speechverse.errors import AudioTooLongError, UserError
from speechverse.tasks import OneOf, SlotList
from speechverse.types import AudioRef, Example, Utterance

KINDS = ("t5", "bart", "llama")
LABELS = ("play_music", "play_radio", "play", "alarm set", "alarm", "one")
SHORT = DecodingOptions(max_new_tokens=12)


def asked(processor, sounds, constraints):
    return [
        Question(
            f"play {'the ' * number}alarm",
            processor.num_positions(f"play {'the ' * number}alarm", num_samples=len(sound)),
            samples=lambda sound=sound: sound,
            constraint=constraint,
        )
        for number, (sound, constraint) in enumerate(zip(sounds, constraints, strict=True))
    ]


@pytest.mark.parametrize("beams", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_the_size_of_a_batch_changes_no_answer_and_order_is_kept(
    speech_models, sounds, kind, beams
):
    model, processor = speech_models[kind]
    questions = asked(
        processor,
        sounds,
        [None, OneOf(LABELS), SlotList(("artist", "room")), None, OneOf(("yes", "no"))],
    )
    options = SHORT.changed(num_beams=beams)
    together = answer_questions(model, processor, questions, options)
    alone = [answer_questions(model, processor, [question], options)[0] for question in questions]
    assert together == alone
    assert together[1].text in LABELS
    assert together[4].text in ("yes", "no")


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_the_teacher_forced_log_probabilities(speech_models, sounds, kind):
    model, processor = speech_models[kind]
    questions = asked(processor, sounds[:3], [OneOf(LABELS)] * 3)
    with torch.no_grad():
        scores = log_probs(model, processor, questions, DecodingOptions(batch_positions=100))
        for question, row in zip(questions, scores, strict=True):
            assert list(row) == list(LABELS)
            for label in LABELS:
                batch = processor(
                    [question.instruction], audio=[question.samples()], targets=[label]
                )
                forced = model(**batch).logits.log_softmax(-1)[0]
                labels = batch["labels"][0]
                expected = sum(
                    forced[place, token].item()
                    for place, token in enumerate(labels.tolist())
                    if token >= 0
                )
                assert row[label] == pytest.approx(expected, abs=1e-3)


def test_an_llm_that_hears_of_no_positions_scores_alike(speech_models, sounds, monkeypatch):
    model, processor = speech_models["llama"]
    questions = asked(
        processor, sounds[:3], [OneOf(LABELS), OneOf(("yes", "no", "yes please")), OneOf(("one",))]
    )
    with torch.no_grad():
        by_tree = log_probs(model, processor, questions, DecodingOptions())
        in_halves = log_probs(model, processor, questions, DecodingOptions(batch_positions=1))
        monkeypatch.setattr("speechverse.decoding.scoring._takes_trees", lambda *_: False)
        one_by_one = log_probs(model, processor, questions, DecodingOptions(batch_positions=60))
    for rows in zip(by_tree, in_halves, one_by_one, strict=True):
        assert rows[0] == pytest.approx(rows[1], abs=1e-4)
        assert rows[0] == pytest.approx(rows[2], abs=1e-4)


@pytest.mark.parametrize(
    ("kind", "layers"),
    [("Lfm2", {"layer_types": ["conv", "full_attention"]}), ("Mamba", {}), ("Llama", {})],
)
def test_an_llm_that_remembers_is_not_scored_wrongly(kind, layers):
    heads = {} if kind == "Mamba" else {"num_attention_heads": 2, "num_key_value_heads": 1}
    sizes = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 32}
    config = getattr(transformers, f"{kind}Config")(**sizes, **heads, **layers)
    llm = getattr(transformers, f"{kind}ForCausalLM")(config)
    if kind == "Llama":
        _refuse_recurrent(SimpleNamespace(llm=llm))
        return
    with pytest.raises(UserError, match=f"{kind}ForCausalLM has others"):
        _refuse_recurrent(SimpleNamespace(llm=llm))


def test_neither_scores_nor_log_probabilities_are_asked_of_one(speech_models, sounds, monkeypatch):
    model, processor = speech_models["llama"]
    monkeypatch.setattr(type(model.llm), "_is_stateful", True, raising=False)
    questions = asked(processor, sounds[:1], [OneOf(("yes", "no"))])
    for asked_for in (
        lambda: log_probs(model, processor, questions, DecodingOptions()),
        lambda: token_log_probs(model, processor, questions, [[5, 6]], DecodingOptions()),
    ):
        with pytest.raises(UserError, match="an LLM of attention layers alone"):
            asked_for()


@pytest.mark.parametrize("by_tree", [True, False])
def test_scoring_asks_for_no_logits_within_the_prompt(speech_models, sounds, monkeypatch, by_tree):
    model, processor = speech_models["llama"]
    questions = asked(processor, sounds[:2], [OneOf(("yes", "no"))] * 2)
    if not by_tree:
        monkeypatch.setattr("speechverse.decoding.scoring._takes_trees", lambda *_: False)
    shapes = []
    head = model.llm.get_output_embeddings()
    hook = head.register_forward_hook(lambda _, __, logits: shapes.append(logits.shape[:2]))
    with torch.no_grad():
        log_probs(model, processor, questions, DecodingOptions())
    hook.remove()
    assert shapes[0] == (2, 1), "the end of each prompt alone tells what comes next"


def test_length_and_prior_are_taken_out_of_the_scores(speech_models, sounds):
    model, processor = speech_models["t5"]
    question = asked(processor, sounds[:1], [OneOf(LABELS)])[0]
    silent = replace(question, samples=lambda: np.zeros(16_000, dtype=np.float32))

    def scores(asked, scoring):
        options = DecodingOptions(choice_mode="score", choice_scoring=scoring)
        return answer_questions(model, processor, [asked], options)[0].choice_scores

    raw, nothing = scores(question, "raw"), scores(silent, "raw")
    for label in LABELS:
        length = len(processor.encode_target(label))
        assert scores(question, "length")[label] == pytest.approx(raw[label] / length, abs=1e-4)
        assert scores(question, "prior")[label] == pytest.approx(
            raw[label] - nothing[label], abs=1e-4
        )
        assert scores(silent, "prior")[label] == pytest.approx(0, abs=1e-4)


def test_transcripts_and_kept_features_stand_for_the_sound(speech_models, sounds):
    model, processor = speech_models["bart"]
    heard = asked(processor, sounds, [None] * 5)
    with torch.no_grad():
        outputs = [model.encode(processor.front_end.prepare([sound])) for sound in sounds]
    kept = [
        replace(question, features=lambda output=output: output.hidden_states[:, 0])
        for question, output in zip(heard, outputs, strict=True)
    ]
    assert answer_questions(model, processor, kept, SHORT) == answer_questions(
        model, processor, heard, SHORT
    )
    read = [replace(question, transcript="play some music") for question in heard]
    assert len(answer_questions(model, processor, read, SHORT)) == 5
    empty = [replace(question, transcript="") for question in heard[:1]]
    assert len(answer_questions(model, processor, empty, SHORT)) == 1


def test_examples_are_answered_with_their_tasks_constraint_and_progress_is_told(
    speech_models, sounds, tmp_path
):
    from speechverse.audio import Waveform, save

    model, processor = speech_models["t5"]
    paths = [
        save(tmp_path / f"{number}.wav", Waveform(sound)) for number, sound in enumerate(sounds)
    ]
    utterances = [
        Utterance(path.stem, AudioRef(path), len(sound) / 16_000, text="")
        for path, sound in zip(paths, sounds, strict=True)
    ]
    examples = [
        Example(f"{u.id}/ic", u, "ic", "play the alarm", "play", "play", ("play", "alarm set"))
        for u in utterances
    ]
    counts: list[int] = []
    model.train()
    answers = answer(
        model, processor, examples, DecodingOptions(max_batch=2), progress=counts.append
    )
    assert model.training
    model.eval()
    assert {made.text for made in answers} <= {"play", "alarm set"}
    assert counts == [2, 2, 1]


def test_audio_beyond_the_limit_is_refused(speech_models):
    model, processor = speech_models["t5"]
    long = Question("play", 60, samples=lambda: np.zeros(16_000 * 5, dtype=np.float32))
    with pytest.raises(AudioTooLongError, match="4 s"):
        answer_questions(model, processor, [long])


def test_batches_hold_like_with_like_within_the_budget():
    questions = [
        Question("q", length, constraint=OneOf(("a",)) if length % 2 else None)
        for length in range(10, 30)
    ]
    batches = pack(questions, DecodingOptions(batch_positions=100, max_batch=4))
    assert sorted(index for batch in batches for index in batch) == list(range(20))
    for batch in batches:
        assert len({questions[index].constraint for index in batch}) == 1
        assert max(questions[index].num_positions for index in batch) * len(batch) <= 100
        assert len(batch) <= 4


def test_wrong_options_are_refused():
    for wrong, told in (
        ({"choice_mode": "guess"}, "choice_mode: input should be 'constrain', 'score' or 'free'"),
        ({"num_beams": 0}, "num_beams: input should be greater than 0, got 0"),
        ({"num_beam": 4}, "unknown key; did you mean 'num_beams'"),
        ({"top_p": 1.5}, "top_p: input should be less than or equal to 1"),
        ({"stop": ("",)}, "stop.0: string should have at least 1 character"),
    ):
        with pytest.raises(UserError, match=told):
            DecodingOptions(**wrong)


def test_options_that_exclude_each_other_are_refused():
    for wrong, told in (
        ({"num_beams": 2, "temperature": 0.7}, "num_beams looks for the likeliest"),
        ({"choice_mode": "score", "top_p": 0.9}, "'score' takes the likeliest choice"),
        ({"temperature": 0.0, "top_k": 5}, "temperature 0 is greedy"),
        ({"seed": 1}, "seed is of draws, and nothing is drawn"),
    ):
        with pytest.raises(UserError, match=told):
            DecodingOptions(**wrong)


def test_loops_are_ended_and_short_repeats_are_not():
    nine = [5, 5, 5, 5, 5]
    assert not is_loop(list(range(30)) + nine)
    assert is_loop([1, 2] + [7, 8, 9] * 8)
    assert is_loop([1, 2] + list(range(16)) * 3) and not is_loop(list(range(16)) * 2)
    guard = LoopGuard(end_token_id=1, pad_token_id=0)
    rows = torch.tensor([[3] * 30, [*range(25), *nine], [3] * 10 + [1] + [0] * 19])
    scores = guard(rows, torch.zeros(3, 6))
    assert scores[0].tolist() == [-torch.inf, 0, -torch.inf, -torch.inf, -torch.inf, -torch.inf]
    assert scores[1:].eq(0).all()
    assert guard.ended == {0}


@pytest.mark.parametrize("mode", ["constrain", "score"])
def test_choices_that_are_spelt_alike_are_refused_however_they_are_answered(
    speech_models, sounds, mode
):
    model, processor = speech_models["t5"]
    questions = asked(processor, sounds[:1], [OneOf(("да", "не"))])  # both are unknown
    with pytest.raises(UserError, match="spells 'да' and 'не' with the same tokens"):
        answer_questions(model, processor, questions, DecodingOptions(choice_mode=mode))
