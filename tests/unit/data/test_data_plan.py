from __future__ import annotations

import dataclasses
import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest
from noise_corpus import Processor, in_memory, utterances

from speechverse.data import BatchPlan, Collator, Mixture, MixtureItem, PlanLoader, length_function
from speechverse.errors import CheckpointError, CorpusError, RecipeError, UserError
from speechverse.types import AudioRef

LENGTH = length_function(Processor())


def plan(corpus, *tasks, seed=0, max_positions=400, **settings) -> BatchPlan:
    items = [MixtureItem(corpus, task, weight=1.0) for task in tasks or ("asr", "ic", "kws")]
    return BatchPlan(Mixture(items, seed=seed), LENGTH, max_positions, **settings)


def first(steps, num):
    return list(itertools.islice(steps, num))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return in_memory(utterances(tmp_path_factory.mktemp("world"), 300))


def test_every_utterance_is_seen_once_a_pass_and_the_budget_holds(world):
    seen = []
    for step in plan(world, "asr").steps():
        if step.after.pass_index == 1:
            break
        seen += [example.utterance.id for batch in step.micro_batches for example in batch.examples]
        assert all(batch.padded_positions <= 400 for batch in step.micro_batches)
        assert all(
            batch.positions == tuple(map(LENGTH, batch.examples)) for batch in step.micro_batches
        )
    assert sorted(seen) == sorted(utterance.id for utterance in world.utterances("train"))


def test_bucketing_keeps_padding_low(world):
    steps = first(plan(world, num_buckets=8).steps(), 60)
    efficiency = sum(step.padding_efficiency for step in steps) / len(steps)
    assert 0.85 < efficiency < 1
    assert (
        efficiency
        > sum(step.padding_efficiency for step in first(plan(world, num_buckets=1).steps(), 60))
        / 60
        + 0.1
    )


def test_a_step_deals_its_micro_batches_out_to_the_ranks(world):
    alone = first(plan(world, micro_batches=4).steps(), 5)
    for step in alone:
        assert len(step.micro_batches) == 4
        dealt = [step.for_rank(rank, 2) for rank in (0, 1)]
        assert [len(part) for part in dealt] == [2, 2]
        assert set(map(id, dealt[0] + dealt[1])) == set(map(id, step.micro_batches))
    singles = first(plan(world).steps(), 20)
    assert [batch for step in alone for batch in step.micro_batches] == [
        step.micro_batches[0] for step in singles
    ]


@pytest.mark.parametrize("micro_batches", [1, 3])
def test_a_plan_resumed_at_any_step_goes_on_as_if_never_stopped(world, micro_batches):
    whole = plan(world, micro_batches=micro_batches)
    reference = []
    for step in first(whole.steps(), 300 // micro_batches):
        reference.append((step, json.dumps(whole.state_dict())))
        whole.advance(step)
    assert reference[-1][0].after.pass_index > 0
    for place in (0, 1, 40, len(reference) // 2, len(reference) - 1):
        resumed = plan(world, micro_batches=micro_batches)
        resumed.load_state_dict(json.loads(reference[place][1]))
        following = [step for step, _ in reference[place : place + 3]]
        assert first(resumed.steps(), len(following)) == following


def test_a_state_of_another_plan_is_refused(world):
    state = plan(world).state_dict()
    for other in (
        plan(world, seed=1),
        plan(world, "asr"),
        plan(world, max_positions=500),
        plan(world, micro_batches=2),
    ):
        with pytest.raises(CheckpointError, match="other data or batch settings"):
            other.load_state_dict(state)


def test_what_does_not_fit_is_counted_and_told(world, caplog):
    tight = plan(world, "asr", max_positions=60)
    seen, report = 0, tight.report
    for step in tight.steps():
        if step.after.pass_index == 1:
            break
        seen, report = seen + sum(len(batch.examples) for batch in step.micro_batches), tight.report
    assert report.left_out and report.drawn == 300 and seen + len(report.left_out) == 300
    assert f"{len(report.left_out)} of 300 examples do not fit and are left out" in caplog.text
    assert "`max_positions`" in next(iter(report.left_out.values()))
    with pytest.raises(CorpusError, match="no example fits in 3 positions"):
        next(plan(world, max_positions=3).steps())


def test_clips_beyond_the_models_limits_are_left_out(tmp_path):
    made = utterances(tmp_path, 10)
    made[0] = dataclasses.replace(made[0], duration=31.0)
    made[1] = dataclasses.replace(made[1], duration=0.001)
    tight = plan(in_memory(made), "asr", max_positions=1000)
    first(tight.steps(), 3)
    assert set(tight.report.left_out) == {"u0/asr", "u1/asr"}
    assert "31.0 s is longer than 30 s" in tight.report.left_out["u0/asr"]
    assert "too short" in tight.report.left_out["u1/asr"]


def test_a_clip_left_out_at_every_draw_is_counted_at_every_draw(tmp_path, caplog):
    made = utterances(tmp_path, 10)
    made[0] = dataclasses.replace(made[0], duration=31.0)
    thrice = BatchPlan(Mixture([MixtureItem(in_memory(made), "asr")], pass_size=30), LENGTH, 1000)
    steps = thrice.steps()
    next(steps)
    assert (thrice.report.drawn, thrice.report.draws_left_out, list(thrice.report.left_out)) == (
        30,
        3,
        ["u0/asr"],
    )
    thrice.length = lambda example: 1001
    with pytest.raises(CorpusError, match="no example of pass 1 fits"):
        first(steps, 30)
    assert "3 of 30 examples do not fit" in caplog.text


def loader(corpus, *, micro_batches=2, **settings) -> PlanLoader:
    made = plan(corpus, max_positions=150, num_buckets=3, micro_batches=micro_batches)
    return PlanLoader(made, Collator(Processor()), **settings)


def told(step):
    return [
        (batch.examples, batch.inputs["sums"].tolist(), batch.loss_weights.tolist())
        for batch in step.batches
    ]


def test_workers_and_ranks_give_the_same_steps(corpus):
    alone = first(iter(loader(corpus)), 12)
    assert [told(step) for step in first(iter(loader(corpus, num_workers=2)), 12)] == [
        told(step) for step in alone
    ]
    ranks = [first(iter(loader(corpus, rank=rank, world_size=2)), 12) for rank in (0, 1)]
    for step, *parts in zip(alone, *ranks, strict=True):
        assert told(step) == [entry for part in parts for entry in told(part)]
        assert {part.padding_efficiency for part in parts} == {step.padding_efficiency}
    with pytest.raises(RecipeError, match="cannot be dealt out evenly to 2 processes"):
        loader(corpus, micro_batches=3, world_size=2)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_loader_resumes_after_the_step_it_handed_out(corpus, num_workers):
    whole = loader(corpus, num_workers=num_workers)
    steps = iter(whole)
    reference = [next(steps) for _ in range(5)]
    state = json.loads(json.dumps(whole.state_dict()))
    reference += [next(steps) for _ in range(4)]
    resumed = loader(corpus, num_workers=num_workers)
    resumed.load_state_dict(state)
    following = first(iter(resumed), 4)
    assert [told(step) for step in following] == [told(step) for step in reference[5:]]


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_reference_that_no_process_could_be_given_is_no_hindrance(corpus, num_workers):
    got = first(iter(loader(corpus, num_workers=num_workers)), 1)
    assert all(
        e.reference is None for step in got for batch in step.batches for e in batch.examples
    )


@pytest.mark.parametrize("num_workers", [0, 1])
def test_what_is_wrong_in_a_worker_is_told_in_words(corpus, num_workers):
    class Refusing(Collator):
        def __call__(self, examples, loss_weights=None):
            raise CorpusError("the cache is of another file: build it anew")

    made = loader(corpus, num_workers=num_workers)
    made.collator = Refusing(Processor())
    with pytest.raises(UserError) as caught:
        next(iter(made))
    assert str(caught.value) == "the cache is of another file: build it anew"


def test_bad_clips_of_two_corpora_with_one_id_are_two(corpus):
    batch = first(iter(loader(corpus)), 1)[0].batches[0]
    example, counted = batch.examples[0], loader(corpus, max_bad_share=1.0)
    other = replace(example.utterance, audio=AudioRef(Path("elsewhere.wav")))
    both = (example, replace(example, utterance=other))
    counted._count_skipped(replace(batch, examples=both, skipped={0: "cut off", 1: "no sound"}))
    assert sorted(counted.skipped.values()) == ["cut off", "no sound"]


def test_a_bad_clip_becomes_silence_without_labels_and_is_counted(corpus, caplog):
    bad = corpus.utterances("train")[5]
    bad.audio.path.write_bytes(b"RIFF this is no sound")
    forgiving = loader(corpus)
    steps = first(iter(forgiving), 40)
    rows = [
        (batch, row)
        for step in steps
        for batch in step.batches
        for row, example in enumerate(batch.examples)
        if example.utterance.id == bad.id
    ]
    assert (
        rows
        and list(forgiving.skipped) == [str(bad.audio.path)]
        and caplog.text.count(f"'{bad.id}' cannot be used") == 1
    )
    for batch, row in rows:
        assert batch.inputs["sums"][row] == 0 and batch.loss_weights[row] == 0
        assert (batch.inputs["labels"][row] == -100).all() and row in batch.skipped
    corpus.utterances("train")[6].audio.path.unlink()
    with pytest.raises(
        CorpusError, match=r"2 of \d+ clips cannot be used .* more than 1.0% are refused"
    ):
        first(iter(forgiving), 40)
