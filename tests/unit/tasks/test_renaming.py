"""Labels under other names: listed, answered and told apart."""

from __future__ import annotations

import random

import pytest

from speechverse.tasks import Ask, LabelSet, get_task
from speechverse.tasks.labels import label_key
from speechverse.tasks.renaming import label_synonyms, rename_labels

INTENTS = LabelSet(
    "intent",
    {
        name: f"wants {name}"
        for name in ("play_music", "set_alarm", "cancel_alarm", "remove_item", "lights_on", "qa")
    },
)


def examples(task: str, clip, draws: int = 200, **how) -> list:
    labels = {"intent": INTENTS} if task == "ic" else {}
    return [
        get_task(task).render(clip, Ask(random.Random(seed), labels=labels, **how))
        for seed in range(draws)
    ]


@pytest.mark.parametrize("task", ["ic", "er", "asc", "ac", "sc", "sns"])
def test_a_renamed_label_is_listed_and_is_the_answer(task, speech) -> None:
    asked = examples(task, speech(), renamed=1.0)
    assert all(example.target in example.instruction for example in asked)
    assert all(
        example.target == example.reference and example.target in example.choices
        for example in asked
    )
    assert len({example.target for example in asked}) > 3


def test_labels_keep_their_names_unless_asked_and_always_in_evaluation(speech) -> None:
    assert {example.target for example in examples("ic", speech())} == {"play_music"}
    assert {
        example.target for example in examples("ic", speech(), renamed=1.0, training=False)
    } == {"play_music"}
    some = [example.target for example in examples("ic", speech(), 400, renamed=0.3)]
    assert 0.6 < some.count("play_music") / len(some) < 0.85


def test_tasks_whose_answers_are_no_labels_are_as_they_were(speech) -> None:
    for task in ("asr", "sf", "kwe"):
        assert examples(task, speech(), 20, renamed=1.0) == examples(task, speech(), 20)


def test_new_names_are_told_apart_and_never_another_label_s() -> None:
    alike = LabelSet(
        "intent", dict.fromkeys(("set alarm", "adjust_alarm", "alarm_set", "configure_alarm"), "")
    )
    for labels in (INTENTS, alike):
        for seed in range(300):
            other, names = rename_labels(labels, random.Random(seed))
            assert list(names) == list(labels.names) and len(
                set(map(label_key, names.values()))
            ) == len(names)
            for old, new in names.items():
                assert label_key(new) not in {
                    label_key(name) for name in labels.names if name != old
                }
                assert other.descriptions[new] == labels.descriptions[old]


def test_no_name_has_a_synonym_that_is_its_opposite_or_itself() -> None:
    for name, others in label_synonyms().items():
        assert others and len({name, *others}) == len(others) + 1
    for pair in (
        ("on", "off"),
        ("set", "cancel"),
        ("add", "remove"),
        ("happy", "sad"),
        ("positive", "negative"),
    ):
        first, second = ({name, *label_synonyms()[name]} for name in pair)
        assert not first & second
