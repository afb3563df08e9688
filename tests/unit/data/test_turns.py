from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path

import pytest
from noise_corpus import Processor, in_memory, utterances

from speechverse.data import BatchPlan, Mixture, MixtureItem, length_function
from speechverse.errors import AudioTooLongError
from speechverse.tasks import get_task


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return in_memory(utterances(tmp_path_factory.mktemp("world"), 300))


def mixture(corpus, *tasks, turns=0.5, **settings) -> Mixture:
    items = [MixtureItem(corpus, task, weight=1.0) for task in tasks or ("asr", "ic", "kws", "er")]
    return Mixture(items, turns=turns, **settings)


def examples(drawn: Mixture, pass_index: int = 0):
    return [drawn.example(draw) for draw in drawn.draws(pass_index)]


def length(example) -> int:
    """As the plan's stand-in counts, a word a position, with the turns' words."""
    said = " ".join(f"{turn.instruction} {turn.answer}" for turn in example.earlier)
    positions = round(example.utterance.duration * 12.5) + len(
        f"{said} {example.instruction} {example.target}".split()
    )
    if positions > 1024:
        raise AudioTooLongError("too long")
    return positions


def test_as_many_examples_as_wanted_follow_one_or_two_turns_and_all_else_stays(world):
    plain, turned = examples(mixture(world, turns=0)), examples(mixture(world, turns=0.3))
    counts = Counter(len(example.earlier) for example in turned)
    assert 0.2 < (counts[1] + counts[2]) / len(turned) < 0.4
    assert set(counts) == {0, 1, 2} and min(counts[1], counts[2]) > len(turned) * 0.05
    assert not any(example.earlier for example in plain)
    assert [(e.id, e.instruction, e.target) for e in turned] == [
        (e.id, e.instruction, e.target) for e in plain
    ]


def test_turns_are_right_answers_to_other_questions_about_the_clip_often_its_transcript(world):
    asked = Counter()
    for example in examples(mixture(world, turns=1.0)):
        answers = [turn.answer for turn in example.earlier]
        transcripts = answers.count(example.utterance.text)
        assert transcripts <= (example.task != "asr")
        for answer in answers:
            wanted = {
                example.utterance.text,
                example.utterance.labels["intent"].replace("_", " "),
                example.utterance.labels["intent"],
                example.utterance.labels["emotion"],
                "yes",
                "no",
            }
            assert answer in wanted
        if example.task != "asr":
            asked["transcript first"] += answers[0] == example.utterance.text
            asked["other"] += 1
    assert 0.5 < asked["transcript first"] / asked["other"] < 0.85


def test_a_joint_task_does_not_follow_one_of_its_parts(world):
    joint = get_task("asr+ic")
    for example in examples(mixture(world, "asr", "er", joint, turns=1.0)):
        if example.task == joint.name:
            assert [turn.answer for turn in example.earlier] == [
                example.utterance.labels["emotion"]
            ]


def test_a_clip_that_is_asked_nothing_else_has_no_turns(world):
    assert not any(example.earlier for example in examples(mixture(world, "asr", turns=1.0)))


def test_turns_are_the_same_in_every_run_and_others_with_another_seed(world):
    def turns(seed, pass_index=0):
        return [example.earlier for example in examples(mixture(world, seed=seed), pass_index)]

    assert turns(0) == turns(0)
    assert turns(0) != turns(1)
    assert turns(0) != turns(0, 1)
    assert mixture(world).digest == mixture(world).digest != mixture(world, turns=0.4).digest


def test_a_plan_with_turns_goes_on_where_it_stopped(world):
    def plan():
        return BatchPlan(mixture(world), length, 400)

    whole, steps, states = plan(), [], []
    for step in itertools.islice(whole.steps(), 40):
        steps.append(step)
        states.append(json.dumps(whole.state_dict()))
        whole.advance(step)
    assert any(e.earlier for step in steps for b in step.micro_batches for e in b.examples)
    for place in (0, 17, 38):
        resumed = plan()
        resumed.load_state_dict(json.loads(states[place]))
        assert list(itertools.islice(resumed.steps(), 2)) == steps[place : place + 2]


def test_turns_count_in_the_budget_and_what_is_too_long_loses_turns_before_it_is_dropped(
    world, caplog
):
    def walk(turns, max_positions):
        plan, seen = BatchPlan(mixture(world, turns=turns), length, max_positions), []
        report = plan.report
        for step in plan.steps():
            if step.after.pass_index == 1:
                return seen, report
            report = plan.report
            for batch in step.micro_batches:
                assert batch.positions == tuple(map(length, batch.examples))
                assert batch.padded_positions <= max_positions
                seen += [example.id for example in batch.examples]
        raise AssertionError

    plain, without = walk(0.0, 100)
    turned, report = walk(1.0, 100)
    assert sorted(plain) == sorted(turned) and without.turns_left_out == 0
    assert report.turns_left_out > 0
    assert f"{report.turns_left_out} earlier turns do not fit and are left out" in caplog.text


def test_the_length_of_an_example_is_that_of_its_whole_conversation():
    class Counting(Processor):
        def lengths(self, prompt, target="", *, num_samples):
            return 1 if isinstance(prompt, str) else 1 + 10 * len(prompt.earlier), 1

    corpus = in_memory(utterances(Path("nowhere"), 20))
    measure = length_function(Counting())
    for example in examples(mixture(corpus, turns=1.0)):
        assert measure(example) == 2 + 10 * len(example.earlier)
