from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import pytest
from noise_corpus import in_memory, utterances

from speechverse.data import Corpus, Mixture, MixtureItem, collect_labels, render_for_evaluation
from speechverse.errors import CorpusError, RecipeError
from speechverse.tasks.labels import LabelSet
from speechverse.types import AudioRef


@pytest.fixture
def world(tmp_path):
    return in_memory(utterances(tmp_path, 300))


def test_a_pass_over_one_item_asks_every_utterance_once(world):
    mixture = Mixture([MixtureItem(world, "asr")])
    for pass_index in (0, 1, 5):
        draws = list(mixture.draws(pass_index))
        assert sorted(draw.utterance for draw in draws) == list(range(300))
        assert {draw.cycle for draw in draws} == {pass_index}
    assert list(mixture.draws(0)) != list(mixture.draws(1))


def test_passes_of_any_size_walk_through_all_before_repeating(world):
    mixture = Mixture([MixtureItem(world, "asr")], pass_size=70)
    draws = [draw for pass_index in range(9) for draw in mixture.draws(pass_index)]
    assert Counter(draw.utterance for draw in draws if draw.cycle == 0) == Counter(range(300))
    assert len(draws) == 630


def test_weights_share_out_the_draws(world, tmp_path):
    small = in_memory(utterances(tmp_path, 75, prefix="s"), "small")

    def shares(first, second, **settings):
        items = [MixtureItem(world, "asr", weight=first), MixtureItem(small, "ic", weight=second)]
        mixture = Mixture(items, **settings)
        drawn = Counter(draw.item for draw in mixture.draws(3))
        assert drawn[0] / drawn.total() == pytest.approx(mixture.shares[0], abs=0.01)
        return mixture.shares[0]

    assert shares(2.0, 1.0) == pytest.approx(2 / 3)
    assert shares("size", "size") == pytest.approx(300 / 375)
    assert shares("sqrt", "sqrt") == pytest.approx(2 / 3) == shares("size", "size", temperature=2.0)
    assert shares(3.0, 1.0, temperature=1e-3) == pytest.approx(1.0)
    assert shares(0.1, 0.1, temperature=1e-4) == pytest.approx(0.5)
    with pytest.raises(RecipeError, match="all numbers or all rules"):
        shares(1.0, "size")
    with pytest.raises(RecipeError, match="above 0"):
        shares(0.0, 1.0)
    with pytest.raises(RecipeError, match="unknown weight 'largest'"):
        shares("largest", "size")
    with pytest.raises(RecipeError, match="temperature"):
        shares(1.0, 1.0, temperature=0)
    with pytest.raises(RecipeError, match="lists world/train/asr twice"):
        Mixture([MixtureItem(world, "asr"), MixtureItem(world, "asr")])


def test_what_an_utterance_is_asked_depends_on_its_name_and_cycle_alone(world, tmp_path):
    def asked(mixture, pass_index=0, reverse=False):
        draws = sorted(mixture.draws(pass_index), key=lambda draw: draw.utterance, reverse=reverse)
        return {
            (e.id, e.instruction, e.target) for e in map(mixture.example, draws) if e.task == "kws"
        }

    alone = Mixture([MixtureItem(world, "kws", weight=1.0)])
    beside = Mixture([MixtureItem(world, "kws", weight=1.0), MixtureItem(world, "asr", weight=1.0)])
    assert asked(alone) == asked(alone, reverse=True) == asked(beside)
    assert asked(alone) != asked(alone, pass_index=1) and asked(alone) != asked(
        Mixture(alone.items, seed=1)
    )


def test_utterances_without_the_label_are_counted(world):
    mixture = Mixture([MixtureItem(world, "ic", loss_weight=2.0)])
    [source] = mixture.sources
    assert (source.name, len(source.utterances), str(source.left_out)) == (
        "world/train/ic",
        300,
        "",
    )
    assert mixture.loss_weight(next(mixture.draws(0))) == 2.0
    world.utterances("train")[0].labels.pop("intent")
    assert Mixture([MixtureItem(world, "ic")]).sources[0].left_out.lacking == {
        "it has no label 'intent'": 1
    }
    with pytest.raises(
        CorpusError, match=r"none of its 300 utterances fits task 'st'.*translation"
    ):
        Mixture([MixtureItem(world, "st")])


def test_a_balanced_item_draws_each_answer_as_often_and_each_clip_of_it_once_in_turn(world):
    for number, utterance in enumerate(world.utterances("train")):
        utterance.labels["num_speakers"] = 1 + (number % 10 == 0)
    mixture = Mixture([MixtureItem(world, "sc", balanced=True)], pass_size=75)
    draws = [draw for pass_index in range(8) for draw in mixture.draws(pass_index)]
    assert len(draws) == 600
    targets = Counter(mixture.example(draw).target for draw in draws)
    assert targets == {"one": 300, "two": 300}
    by_clip = Counter(draw.utterance for draw in draws)
    assert {by_clip[clip] for clip in range(0, 300, 10)} == {10}, (
        "thirty clips of two voices, ten times each"
    )
    assert {by_clip[clip] for clip in range(300) if clip % 10} == {1, 2}, "270 of one voice"
    first = {draw.utterance for draw in draws if draw.cycle == 0}
    assert first == set(range(300))
    assert mixture.digest != Mixture([MixtureItem(world, "sc")], pass_size=75).digest
    for task in ("asr", "kws"):
        with pytest.raises(RecipeError, match=f"world/train/{task}: only a closed task"):
            Mixture([MixtureItem(world, task, balanced=True)])


def test_an_item_can_be_balanced_by_a_field_of_labels(world):
    for number, utterance in enumerate(world.utterances("train")):
        utterance.labels["room"] = ("small", "small", "small", "large", "hall")[number % 5]
    mixture = Mixture([MixtureItem(world, "asr", balanced="room")], pass_size=90)
    rooms = [world.utterances("train")[draw.utterance].labels["room"] for draw in mixture.draws(0)]
    assert Counter(rooms) == {"small": 30, "large": 30, "hall": 30}
    assert (
        mixture.digest
        != Mixture([MixtureItem(world, "asr", balanced="intent")], pass_size=90).digest
    )
    for number, utterance in enumerate(world.utterances("train")):
        utterance.labels["num_speakers"] = 1 + (number % 5 == 4)
    closed = Mixture([MixtureItem(world, "sc", balanced="room")], pass_size=90)
    heard = [
        world.utterances("train")[draw.utterance].labels
        for n in range(2)
        for draw in closed.draws(n)
    ]
    drawn = Counter((labels["num_speakers"], labels["room"]) for labels in heard)
    assert drawn == {(1, "small"): 45, (1, "large"): 45, (2, "hall"): 90}, (
        "each answer as often, in it each room"
    )
    with pytest.raises(RecipeError, match=r"cannot be balanced by 'rom'.*room"):
        Mixture([MixtureItem(world, "asr", balanced="rom")])


def test_fields_of_many_values_are_balanced_at_once_and_over_passes(world):
    """Three answers with 53, 59 and 61 values: a round of all of them would be half a million draws
    long.
    """
    sizes = {"angry": 53, "happy": 59, "sad": 61}
    for number, utterance in enumerate(world.utterances("train")):
        emotion = list(sizes)[number % 3]
        utterance.labels.update({"emotion": emotion, "intent": f"{(number // 3) % sizes[emotion]}"})
    mixture = Mixture([MixtureItem(world, "er", balanced="intent")], pass_size=1001)
    heard = [
        world.utterances("train")[draw.utterance].labels
        for n in range(7)
        for draw in mixture.draws(n)
    ]
    by_emotion = Counter(labels["emotion"] for labels in heard)
    assert max(by_emotion.values()) - min(by_emotion.values()) <= 1
    for emotion, size in sizes.items():
        by_intent = Counter(labels["intent"] for labels in heard if labels["emotion"] == emotion)
        assert len(by_intent) == size and max(by_intent.values()) - min(by_intent.values()) <= 1


def test_values_that_would_read_alike_when_joined_stay_apart(world):
    for number, utterance in enumerate(world.utterances("train")):
        utterance.labels.update(
            {
                "intent": ("music", "music/play")[number % 2],
                "room": ("play/loud", "loud")[number % 2],
            }
        )
    world.labels = collect_labels(world.utterances("train"))
    mixture = Mixture([MixtureItem(world, "ic", balanced="room")], pass_size=300)
    assert {draw.utterance for draw in mixture.draws(0)} == set(range(300))


def test_evaluation_asks_the_same_every_time(world):
    examples = render_for_evaluation(world, "train", "ic", wording="held_out")
    assert len(examples) == 300 and examples == render_for_evaluation(world, "train", "ic")
    some = render_for_evaluation(world, "train", "ic", limit=20)
    fewer = render_for_evaluation(world, "train", "ic", limit=10)
    assert (
        len(some) == 20
        and set(map(id_of, fewer)) <= set(map(id_of, some))
        and all(e in examples for e in some)
    )
    assert {e.choices for e in examples} == {tuple(f"intent_{n}" for n in range(7))}


def id_of(example):
    return example.id


@pytest.mark.parametrize(
    "change",
    [
        {"text": "other"},
        {"audio": AudioRef(Path("other.wav"))},
        {"duration": 99.0},
        {"labels": {"intent": "other"}},
    ],
)
def test_the_digest_tells_a_corpus_written_anew_under_the_same_ids(world, change):
    made = world.utterances("train")
    other = in_memory([dataclasses.replace(made[0], **change), *made[1:]])
    same = in_memory(
        [dataclasses.replace(made[0], labels=dict(reversed(made[0].labels.items()))), *made[1:]]
    )
    digests = [Mixture([MixtureItem(corpus, "asr")]).digest for corpus in (world, same, other)]
    assert digests[0] == digests[1] != digests[2]


def test_the_digest_tells_labels_that_are_described_anew(world):
    names = world.labels["intent"].names
    described = LabelSet("intent", dict.fromkeys(names, "something else"))
    labels = {**world.labels, "intent": described}
    other = Corpus("world", labels, _sources={"train": world.utterances("train")})
    digests = [Mixture([MixtureItem(corpus, "ic")]).digest for corpus in (world, other)]
    assert digests[0] != digests[1]


def test_a_task_whose_file_was_edited_draws_other_examples(world, tmp_path):
    digests = []
    for wording in ("Which light?", "Which lamp?"):
        file = tmp_path / "own.yaml"
        own = f"name: which_light\nfield: text\ninstructions: {{seen: ['{wording}']}}\n"
        file.write_text(own)
        digests.append(Mixture([MixtureItem(world, str(file))]).digest)
    assert digests[0] != digests[1]
