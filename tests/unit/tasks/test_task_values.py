"""Every task asks in all its wordings, reads its own answer back, and says what an
utterance lacks.
"""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections import Counter
from pathlib import Path

import pytest

from speechverse.errors import TaskError
from speechverse.seeding import rng_for
from speechverse.tasks import (
    Ask,
    LabelSet,
    OneOf,
    PromptSet,
    SlotList,
    Task,
    get_task,
    kws,
    parse_slots,
    task_names,
)
from speechverse.types import AudioRef, Utterance
from task_check import alike, validate_task

MANY = LabelSet(
    "intent", {f"intent_{i}": f"wants thing {i}" for i in range(40)} | {"play_music": "wants music"}
)

KWS = dataclasses.replace(get_task("kws"), prompts=PromptSet(("Is '{keyword}' said?",)))
"""Keyword search in one wording, so that what is asked for can be read off."""


def ask(seed: int = 0, **how: object) -> Ask:
    how.setdefault("vocabulary", ("umbrella", "violin", "kitchens", "kitchen"))
    return Ask(random.Random(seed), **how)


@pytest.mark.parametrize("name", task_names())
def test_every_wording_renders_parses_and_scores(name, speech, inventory) -> None:
    task = get_task(name)
    examples = validate_task(task, speech(), inventory)
    assert len(examples) >= 2 * (15 + 5)


def test_own_classes_render_parse_and_score(speech) -> None:
    mood = LabelSet("class", {"bored": "a flat voice", "very keen": ""})
    examples = validate_task(get_task("class"), speech(**{"class": "very keen"}), {"class": mood})
    assert {example.reference for example in examples} == {"very keen"}
    assert all(example.choices == ("bored", "very keen") for example in examples)
    assert get_task("class").missing(speech()) == "it has no label 'class'"


@pytest.mark.parametrize("name", (*task_names(), "class"))
def test_enough_short_instructions(name) -> None:
    prompts = get_task(name).prompts
    assert len(prompts.seen) >= (18 if name == "class" else 30) and len(prompts.held_out) >= 10
    assert all(len(wording.split()) <= 25 for wording in prompts.seen + prompts.held_out)


@pytest.mark.parametrize("name", (*task_names(), "class"))
def test_wordings_that_training_never_shows_are_unlike_those_that_it_does(name) -> None:
    prompts = get_task(name).prompts
    for wording in prompts.held_out:
        nearest = max(prompts.seen, key=lambda other: alike(wording, other))
        assert alike(wording, nearest) < 0.8, (wording, nearest)


@pytest.mark.parametrize("name", ["ic", "sf"])
def test_half_of_the_wordings_list_the_labels(name) -> None:
    listing = [("{labels}" in wording) for wording in get_task(name).prompts.seen]
    assert 0.4 <= sum(listing) / len(listing) <= 0.6


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("asr", "play miles davis in the kitchen"),
        ("ic", "play_music"),
        ("sf", "artist = miles davis; room = kitchen;"),
        ("kwe", "miles davis, kitchen"),
        ("er", "happy"),
        ("asc", "neutral"),
        ("ac", "scottish"),
        ("sc", "one"),
        ("sns", "speech"),
    ],
)
def test_targets(name, target, speech, inventory) -> None:
    task = get_task(name)
    example = task.render(speech(), ask(labels=inventory))
    assert (example.id, example.task, example.target) == (f"u1/{name}", name, target)


def test_empty_lists_are_said_to_be_none(speech) -> None:
    for name, empty in (("sf", {"slots": []}), ("kwe", {"keywords": []})):
        example = get_task(name).render(speech(**empty), ask())
        assert (example.target, example.reference) == ("none", ())


def test_labels_are_brought_to_their_canonical_word(speech) -> None:
    assert get_task("er").render(speech(emotion="Happiness"), ask()).target == "happy"
    assert get_task("sc").render(speech(num_speakers=2), ask()).target == "two"
    assert get_task("sns").render(speech(is_speech=False, text=""), ask()).target == "non-speech"


@pytest.mark.parametrize(
    ("name", "lacking", "says"),
    [
        ("asr", {"text": None}, "no text"),
        ("ic", {"intent": None}, "no label 'intent'"),
        ("er", {"is_speech": False}, "no speech"),
        ("er", {"is_speech": None, "text": ""}, "its text is empty"),
        ("st", {"translations": {}}, "'translations' is empty"),
        ("sns", {"is_speech": None}, "no label 'is_speech'"),
    ],
)
def test_a_task_says_what_an_utterance_lacks(name, lacking, says, speech) -> None:
    task = get_task(name)
    assert task.applies_to(speech()) and not task.applies_to(speech(**lacking))
    with pytest.raises(
        TaskError, match=f"task '{name}' cannot be asked of utterance 'u1': .*{says}"
    ):
        task.render(speech(**lacking), ask())


def test_non_speech_is_asked_only_whether_it_is_speech(speech) -> None:
    noise = speech(is_speech=False, text="", num_speakers=None)
    assert [name for name in task_names() if get_task(name).applies_to(noise)] == ["sns"]


def test_a_label_outside_the_set_is_an_error(speech, inventory) -> None:
    with pytest.raises(TaskError, match="'3'.*allowed: one, two"):
        get_task("sc").render(speech(num_speakers=3), ask())
    with pytest.raises(TaskError, match="allowed: artist, room, time"):
        get_task("sf").render(speech(slots=[["song", "so what"]]), ask(labels=inventory))
    with pytest.raises(TaskError, match="hold ';' or '='"):
        get_task("sf").render(speech(slots=[["room", "hall; attic"]]), ask())


def test_translation_asks_for_each_language_apart(speech) -> None:
    st = get_task("st")
    assert st.variants(speech()) == ("de", "fr")
    example = st.render(speech(), ask(), "fr")
    assert (example.group, example.id, example.target) == (
        "fr",
        "u1/st/fr",
        "joue miles davis dans la cuisine",
    )
    assert "French" in example.instruction
    assert {st.render(speech(), ask(seed)).group for seed in range(20)} == {"de", "fr"}
    with pytest.raises(TaskError, match="unknown language 'xx'"):
        st.render(speech(translations={"xx": "ba"}), ask())


def test_keyword_search_asks_for_words_said_and_not_said(speech) -> None:
    examples = [KWS.render(speech(), ask(seed)) for seed in range(400)]
    answers = Counter(example.target for example in examples)
    assert 160 < answers["yes"] < 240
    said = {example.instruction.split("'")[1] for example in examples if example.target == "yes"}
    unsaid = {example.instruction.split("'")[1] for example in examples if example.target == "no"}
    assert said == {"miles davis", "kitchen"}
    assert unsaid == {"umbrella", "violin"}  # "kitchens" could hardly be told from "kitchen"


def test_keyword_search_as_in_the_paper_and_without_keyword_labels(speech) -> None:
    task = dataclasses.replace(KWS, positive_share=1.0)
    utterance = speech(keywords=None)
    words = {
        task.render(utterance, ask(seed, vocabulary=("violin",))).instruction.split("'")[1]
        for seed in range(50)
    }
    assert words == {"play", "miles", "davis", "kitchen"}


def test_keyword_search_asks_for_words_of_one_kind_whatever_the_answer(speech) -> None:
    clips = [
        speech(keywords=None, text="listen dim the lamp in the living room"),
        speech(keywords=["kitchen"]),
    ]
    vocabulary = ("Lamp", "living room", "kitchen", "garden")
    asked = {"yes": set(), "no": set()}
    for clip, seed in itertools.product(clips, range(200)):
        example = KWS.render(clip, dataclasses.replace(ask(seed), vocabulary=vocabulary))
        asked[example.target].add(example.instruction.split("'")[1])
    assert asked == {
        "yes": {"lamp", "living room", "kitchen"},
        "no": {"lamp", "living room", "kitchen", "garden"},
    }


@pytest.mark.parametrize(
    ("text", "keywords", "asked"),
    [
        ("I have a cat.", ["cat"], {"cat"}),
        ("A cat, I think, and «New York».", ["Cat", "new york"], {"cat", "new york"}),
        ("Don't touch the T-shirt!", ["don't", "t-shirt."], {"don't", "t-shirt"}),
        ("¿Dónde está el niño?", ["niño"], {"niño"}),
        ("यह हिन्दी।", ["हिन्दी"], {"हिन्दी"}),
        ("play it in C#.", ["c#", "..."], {"c#"}),
        ("I have a cat.", None, {"cat"}),
    ],
)
def test_keyword_search_does_not_mind_punctuation(
    speech, text: str, keywords: list[str] | None, asked: set
) -> None:
    task = dataclasses.replace(KWS, positive_share=1.0)
    clip = speech(text=text, keywords=keywords)
    for vocabulary in (("violin",), tuple(keywords or ())):
        examples = [task.render(clip, ask(seed, vocabulary=vocabulary)) for seed in range(30)]
        assert {example.target for example in examples} == {"yes"}
        found = {keyword for keyword in asked for e in examples if f"'{keyword}'" in e.instruction}
        assert found == asked
        assert all(any(f"'{keyword}'" in e.instruction for keyword in asked) for e in examples)


def test_keyword_search_does_not_ask_in_vain_for_a_word_before_a_full_stop(speech) -> None:
    task = dataclasses.replace(KWS, positive_share=0.0)
    clip = speech(text="I have a cat.", keywords=["cat"])
    asked = [
        task.render(clip, ask(seed, vocabulary=("cat", "Cat,", "!", "violin.")))
        for seed in range(30)
    ]
    assert all("'violin'" in example.instruction and example.target == "no" for example in asked)


def test_keyword_search_of_a_text_of_punctuation_asks_for_a_word_not_said(speech) -> None:
    task = dataclasses.replace(KWS, positive_share=1.0)
    assert (
        task.render(speech(text="...", keywords=None), ask(vocabulary=("violin",))).target == "no"
    )


def test_keyword_search_reads_a_vocabulary_once(speech) -> None:
    before = kws._known_once.cache_info().misses
    clip = speech(keywords=None, text="the lamp in the living room")
    first, second = ("lamp", "Living Room"), ("garden", "room")
    for _ in range(3):
        assert kws.said_keywords(clip, first) == ["lamp", "living room"]
        assert kws.said_keywords(clip, second) == ["room"]
    assert kws._known_once.cache_info().misses - before == 2


def test_keyword_search_without_other_words_is_an_error(speech) -> None:
    task = dataclasses.replace(KWS, positive_share=0.0)
    with pytest.raises(TaskError, match="other keywords of the corpus"):
        task.render(speech(), ask(vocabulary=("kitchen",)))


def test_training_lists_some_labels_and_always_the_right_one(speech) -> None:
    listed = 0
    orders = set()
    for seed in range(100):
        example = get_task("ic").render(
            speech(), ask(seed, labels={"intent": MANY}, max_listed=5, describe=0.0)
        )
        assert example.choices == MANY.names
        if "intent_" in example.instruction:
            listed += 1
            assert example.instruction.count("intent_") == 4 and "play_music" in example.instruction
            orders.add(example.instruction)
    assert 30 < listed < 70 and len(orders) == listed


def test_evaluation_lists_all_labels_or_none(speech, inventory) -> None:
    for seed in range(50):
        asked = ask(seed, labels={"intent": MANY}, training=False, wording="held_out")
        assert "intent_" not in get_task("ic").render(speech(), asked).instruction
        few = (
            get_task("ic").render(speech(), ask(seed, labels=inventory, training=False)).instruction
        )
        assert ("play_music" in few) == ("set_alarm" in few)


def test_labels_carry_descriptions_when_drawn(speech, inventory) -> None:
    template = "Choose: {labels}"
    task = get_task("sf")
    described = task.render(
        speech(), ask(labels=inventory, describe=1.0), template=template
    ).instruction
    assert (
        "room: a part of the house" in described and "time:" not in described and ";" in described
    )
    assert (
        ":"
        not in task.render(
            speech(), ask(labels=inventory, describe=0.0), template=template
        ).instruction[8:]
    )


def test_a_corpus_may_bring_its_own_labels_and_lean_on_the_descriptions(speech) -> None:
    labels = LabelSet("emotion", {"happy": "", "afraid": "a trembling voice"})
    asked = ask(labels={"emotion": labels}, describe=1.0)
    example = get_task("er").render(speech(), asked, template="{labels}")
    assert example.choices == ("happy", "afraid")
    assert "happy: a bright, lively voice" in example.instruction


def test_without_labels_no_wording_lists_them(speech) -> None:
    for seed in range(30):
        example = get_task("ic").render(speech(), ask(seed))
        assert example.choices is None and "{" not in example.instruction


def test_same_seed_same_example(speech, inventory) -> None:
    for task in map(get_task, task_names()):
        first, second = (
            task.render(
                speech(), Ask(rng_for(3, task.name, "u1"), labels=inventory, vocabulary=("violin",))
            )
            for _ in range(2)
        )
        assert first == second


def test_constraints(speech, inventory) -> None:
    ic = get_task("ic").render(speech(), ask(labels=inventory))
    assert get_task("ic").constraint_for(ic.choices) == OneOf(("play_music", "set_alarm"))
    with pytest.raises(TaskError, match="nothing to choose from"):
        OneOf(())
    assert get_task("sf").constraint_for(("artist", "room")) == SlotList(("artist", "room"))
    assert get_task("er").constraint_for(("happy", "sad")) == OneOf(("happy", "sad"))
    assert get_task("asr").constraint_for(None) is None


def test_a_task_that_cannot_work_is_refused_when_made() -> None:
    prompts = PromptSet(("Is it a question?",))
    with pytest.raises(TaskError, match="no target"):
        Task(name="q", title="Q", group="own", prompts=prompts, metrics=("accuracy",))
    with pytest.raises(TaskError, match="constraint but no labels"):
        Task(
            name="q",
            title="Q",
            group="own",
            prompts=prompts,
            metrics=("accuracy",),
            target=lambda utterance: "yes",
            constraint=OneOf,
        )


def test_a_task_that_does_not_fit_its_utterances_says_how(speech) -> None:
    asr = get_task("asr")
    with pytest.raises(TaskError, match=r"unknown placeholder 'lables'; did you mean 'labels'"):
        dataclasses.replace(asr, prompts=PromptSet(("Choose {lables}",))).render(speech(), ask())
    with pytest.raises(
        TaskError, match="cannot read the right answer 'play miles davis in the kitchen'"
    ):
        dataclasses.replace(asr, parser=parse_slots).render(speech(), ask())


def test_a_translation_is_read_in_its_own_language_and_a_transcript_in_that_of_the_speech() -> None:
    labels = {"translations": {"de": "um acht"}}
    utterance = Utterance("u", AudioRef(Path("u.wav")), 1.0, "at eight", None, "en", labels)
    for name, variant, language in (("st", "de", "de"), ("asr", "", "en")):
        task = get_task(name)
        assert task.language_of(task.render(utterance, Ask(rng_for(0)), variant)) == language
