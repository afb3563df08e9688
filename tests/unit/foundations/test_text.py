from __future__ import annotations

import random
import re

import pytest

from speechverse.foundations import text_side
from speechverse.foundations.lm_data import WINDOW, LmBatches, SampleMaker, collate
from speechverse.foundations.practice import Practice
from speechverse.foundations.recipe import LmData
from speechverse.foundations.renaming import other_names, renamed, with_names
from speechverse.foundations.stretching import clean, lay_over, stretch
from speechverse.foundations.text_side import PLAINEST, TextSide
from speechverse.foundations.world import label_sets

WORDS = ["lamp", "door", "tea", "rain", "song", "blue"]


def exercises(count: int = 400) -> list:
    practice = Practice(WORDS, ["Repeat it."])
    rng = random.Random(0)
    return [practice.draw(rng) for _ in range(count)]


def test_practice_answers_are_right() -> None:
    for said, instruction, target in exercises():
        words = said.split()
        if "hen: " in instruction:  # two questions, two answers
            assert "; " in target
            continue
        if instruction == "Repeat it.":
            assert target == said
        if instruction.startswith("How many"):
            assert target == {2: "two", 3: "three", 4: "four"}.get(len(words), target)
        if instruction.startswith("Do you hear"):
            asked = instruction.removeprefix("Do you hear ").removesuffix("?").replace('"', "").split(", ")
            assert target.split() == ["yes" if word in words else "no" for word in asked]
        if instruction == "Say it backwards.":
            assert target.split() == words[::-1]
        if instruction.startswith("Replace"):
            rules = dict(rule.split(": ") for rule in instruction.removeprefix("Replace ").split(", "))
            assert target.split() == [rules.get(word, word) for word in words]
        if "Names: " in instruction:
            (name,) = set(target.split()) - set(words)
            assert name in instruction.split("Names: ")[1].split(", ")
            assert sum(a != b for a, b in zip(words, target.split(), strict=True)) == 1
        if instruction.startswith("Spell"):
            assert target.replace(" ", "") == instruction.removeprefix("Spell ").removesuffix(".")


def test_practice_is_dense_and_varied() -> None:
    drawn = exercises()
    assert len({instruction.split()[0] for _, instruction, _ in drawn}) > 8
    assert any(len(target.split()) > 3 and set(target.split()) <= {"yes", "no"} for *_, target in drawn)


def test_a_task_added_to_the_package_is_asked_once_it_has_a_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(text_side.TASKS, "qst", "speechverse.tasks.sns:SNS")
    side = TextSide(label_sets(), "train", 0, 40)
    asked = {side.draw(random.Random(seed)).instruction for seed in range(40)}
    assert "qst" not in side.tasks and len(asked) > 20


def test_stretching_keeps_the_order_of_words_and_adds_only_blanks() -> None:
    tokens = [5, 6, 7, 8, 9]
    for seed in range(30):
        ids = stretch(tokens, random.Random(seed)).ids
        assert list(dict.fromkeys(id for id in ids if id)) == tokens
        assert len(ids) <= 4 * len(tokens) * 2 + 26
        assert all(ids.count(token) <= 4 for token in tokens)


def test_styles_lie_over_words_and_are_always_there() -> None:
    for seed in range(20):
        stream = lay_over(clean([5, 6, 7]), [90, 91], random.Random(seed))
        assert stream.ids == [5, 6, 7]
        assert {90, 91} <= set(stream.styles)
    assert lay_over(clean([5]), [], random.Random(0)) == clean([5])
    assert 90 in lay_over(clean([]), [90], random.Random(0)).styles


def test_every_task_is_asked_in_seen_wordings_only(text_side: TextSide) -> None:
    for task in text_side.tasks.values():
        held_out = {wording.split("{")[0] for wording in task.prompts.held_out}
        for utterance in text_side.held_out(task, 20):
            example, question = text_side.ask(task, utterance, random.Random(1))
            assert question.target == example.target
            assert not any(len(start) > 8 and question.instruction.startswith(start) for start in held_out)


@pytest.mark.parametrize(("task", "field"), [("er", "emotion"), ("asc", "sentiment"), ("ac", "accent")])
def test_what_cannot_be_read_is_given_as_a_style(text_side: TextSide, task: str, field: str) -> None:
    for utterance in text_side.held_out(text_side.tasks[task], 20):
        _, question = text_side.ask(text_side.tasks[task], utterance, random.Random(1))
        assert utterance.labels[field] in question.styles


def test_batches_repeat_fit_the_budget_and_change_with_the_step(maker: SampleMaker) -> None:
    data = LmData(batch_tokens=300)
    first, again = LmBatches(maker, data, 640), LmBatches(maker, data, 640)
    for step in (WINDOW + 3, 0, 1):
        assert first[step].ids.equal(again[step].ids)
    sizes = [first[step].ids.numel() + first[step].labels.numel() for step in range(WINDOW)]
    assert 150 < sum(sizes) / len(sizes) < 450
    assert not first[0].ids.shape == first[WINDOW].ids.shape or not first[0].ids.equal(first[WINDOW].ids)
    assert first.practice_share(0) > first.practice_share(10_000)


def test_text_is_as_written_at_first_and_stretched_later(maker: SampleMaker) -> None:
    batches = LmBatches(maker, LmData(batch_tokens=300, stretched=1.0, hardens_over=2 * WINDOW), 640)
    disturbed = [
        sum(bool((batches[step].noise > 0).any()) for step in range(start, start + WINDOW))
        for start in (0, WINDOW, 2 * WINDOW)
    ]
    assert 0 == disturbed[0] < disturbed[1] < disturbed[2]


def test_few_wordings_and_faint_disturbance_come_first(maker: SampleMaker) -> None:
    later = {tuple(maker.ids("\n" + text)) for text in maker.text_side.tasks["asr"].prompts.seen[PLAINEST:]}
    drawn = {
        hardness: [maker.draw(random.Random(seed), 0.0, hardness=hardness) for seed in range(600)]
        for hardness in (0.0, 0.1, 1.0)
    }
    assert not later & {tuple(sample.prompt) for sample in drawn[0.0]}
    assert later & {tuple(sample.prompt) for sample in drawn[1.0]}
    strongest = {hardness: max(sample.noise for sample in some) for hardness, some in drawn.items()}
    assert strongest[0.0] == 0 < strongest[0.1] < 0.3 < 1.5 < strongest[1.0]


def test_hardness_grows_from_where_it_starts(maker: SampleMaker) -> None:
    batches = LmBatches(maker, LmData(hardens_over=100, hardness_at_start=0.2), 640)
    assert [batches.hardness(step) for step in (0, 50, 100, 200)] == pytest.approx([0.2, 0.6, 1.0, 1.0])
    assert LmBatches(maker, LmData(), 640).hardness(0) == 1.0


def test_prompt_follows_the_stream_and_is_never_blurred(maker: SampleMaker) -> None:
    rng = random.Random(0)
    samples = [maker.make(said, "Repeat.", said, [], rng, stretched=True) for said in ("lamp", "tea rain song")]
    batch = collate(samples)
    for row, sample in enumerate(samples):
        start = len(sample.stream.ids)
        assert batch.ids[row, start : start + len(sample.prompt)].tolist() == sample.prompt
        assert int(batch.said[row].sum()) == start
        assert int(batch.mask[row].sum()) == start + len(sample.prompt)


def test_renamed_labels_are_listed_and_answered_by_words_of_their_descriptions(text_side: TextSide) -> None:
    rng, seen, named = random.Random(0), 0, text_side.labels["intent"].descriptions
    told = {word for text in named.values() for word in re.findall(r"[a-z]+", text.lower())}
    listing, of_slots = (
        [re.escape(text).replace(r"\{labels\}", "(.+)") for text in text_side.tasks[name].prompts.seen if "{" in text]
        for name in ("ic", "sf")
    )
    for _ in range(400):
        question = text_side.draw(rng, share_renamed=1.0)
        found = next(filter(None, (re.fullmatch(text, question.instruction) for text in listing)), None)
        if found and not any(re.fullmatch(text, question.instruction) for text in of_slots):
            seen += 1
            assert question.target in found[1]
            assert question.target in named or set(question.target.split()) & told
    assert seen > 10


def test_no_batch_is_moved_beyond_the_llm_s_positions(maker: SampleMaker) -> None:
    data = LmData(batch_tokens=300, moved=1.0, moved_by=500)
    widths = [LmBatches(maker, data, max_positions=450)[step].ids.shape[1] for step in range(WINDOW)]
    assert max(widths) <= 450 and max(widths) > 300


def test_other_names_read_apart_and_go_with_the_utterance(text_side: TextSide) -> None:
    labels = text_side.labels["slots"]
    names = other_names(labels, random.Random(0))
    assert renamed(labels, names).names and set(names) == set(labels.names)  # a set that read alike would be refused
    assert sum(name != new for name, new in names.items()) > 0.9 * len(names)
    utterance = next(u for u in text_side.utterances if u.labels.get("slots"))
    pairs = list(utterance.labels["slots"])
    assert [value for _, value in with_names(utterance, names).labels["slots"]] == [value for _, value in pairs]
    assert [name for name, _ in with_names(utterance, names).labels["slots"]] == [names[name] for name, _ in pairs]


def test_free_questions_are_about_what_is_said(text_side: TextSide) -> None:
    rng = random.Random(0)
    for _ in range(50):
        said, instruction, target, _ = text_side.draw_free(rng)
        assert said and instruction[-1] in "?." and target
