"""Regular expressions and JSON schemas: nothing but what matches comes out, on every kind of
tokenizer.
"""

from __future__ import annotations

import json
import re

import pytest
import torch
from transformers import LogitsProcessorList

from speechverse.decoding import ConstraintLogitsProcessor, LabelTrie, pattern_of_schema, patterns
from speechverse.decoding.patterns import (
    PatternAutomaton,
    _wants_nul,
    compiled_from,
    pattern_of_slots,
)
from speechverse.errors import UserError
from speechverse.json_schema import has_anchor, is_balanced, without_anchors

KINDS = ("t5", "bart", "llama")
PATTERNS = ("(play|stop) (music|radio)", "[a-z]{3,6}", "one( one)*", "(artist|room) = [a-z]{1,5};")
ORDER = {
    "type": "object",
    "properties": {"drink": {"enum": ["latte", "tea"]}, "shots": {"type": "integer", "minimum": 0}},
    "required": ["drink", "shots"],
}


def generated(generate, side, automata, kind, *, beams=1, seed=0, **how) -> list[str]:
    constraint = ConstraintLogitsProcessor(automata, beams)
    processors = LogitsProcessorList([constraint])
    rows = generate(
        kind,
        seed,
        len(automata),
        num_beams=beams,
        logits_processor=processors,
        max_new_tokens=40,
        **how,
    )
    ended = [
        row[: row.index(side.end_token_id)] for row in rows.tolist() if side.end_token_id in row
    ]
    return [text.strip() for row in ended for text in side.decode([row])]


@pytest.mark.parametrize(
    "how", [{}, {"beams": 3}, {"do_sample": True}], ids=["greedy", "beams", "sampling"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_every_row_keeps_to_its_own_pattern(text_sides, generate, kind, how):
    side = text_sides[kind]
    torch.manual_seed(0)
    automata = [PatternAutomaton(pattern, side) for pattern in PATTERNS]
    for seed in range(3):
        for pattern, automaton in zip(PATTERNS, automata, strict=True):
            for text in generated(generate, side, [automaton], kind, seed=seed, **how):
                assert re.fullmatch(pattern, text), (pattern, text)
    mixed = [automata[0], LabelTrie.of(("one", "alarm set"), side), automata[1]]
    together = generated(generate, side, mixed, kind, **how)
    assert re.fullmatch(PATTERNS[0], together[0]) and together[1] in ("one", "alarm set")


def test_only_so_many_bytes_of_indices_are_kept(text_sides, monkeypatch):
    processor = text_sides["llama"]
    one = patterns._make_index("[a-c]{1,5}", processor.tokenizer, processor.end_token_id)[1]
    indices, made = patterns._Indices(2 * one), []
    make = patterns._make_index
    monkeypatch.setattr(
        patterns, "_make_index", lambda pattern, *how: made.append(pattern) or make(pattern, *how)
    )
    for pattern in ("[a-c]{1,5}", "[d-f]{1,5}", "[a-c]{1,5}", "[g-i]{1,5}", "[a-c]{1,5}"):
        indices.find(pattern, processor.tokenizer, processor.end_token_id)
    assert made == ["[a-c]{1,5}", "[d-f]{1,5}", "[g-i]{1,5}"], "the one used longest ago went"


@pytest.mark.parametrize("kind", KINDS)
def test_every_text_that_matches_can_come(text_sides, kind):
    side = text_sides[kind]
    automaton = PatternAutomaton(PATTERNS[0], side)
    for text in ("play music", "stop radio"):
        state = automaton.start
        for token in side.encode_target(text):
            assert token in automaton.allowed(state).tolist()
            state = automaton.advance(state, token)
        assert not len(automaton.allowed(state))
    assert automaton.advance(automaton.start, side.end_token_id) is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        ("play|stop", ("play", "stop")),
        ("one( one)*", ("one", "one one", "one one one")),
        ("^[a-z]+$", ("a", "abc")),
        (".{2,3}", ("ab", "abc")),
        ("[a-z][a-z ]{1,40}", ("play", "play one", 20 * "on")),  # without end, were it not begun
    ],
)
def test_texts_that_go_on_where_another_ends_come_too(text_sides, kind, pattern, texts):
    automaton = PatternAutomaton(pattern, text_sides[kind])
    for text in texts:
        state = automaton.start
        for token in text_sides[kind].encode_target(text):
            assert token in automaton.allowed(state).tolist(), (text, token)
            state = automaton.advance(state, token)
    assert text_sides[kind].end_token_id not in automaton.allowed(automaton.start).tolist()


def test_a_schema_lets_only_its_json_come(text_sides, generate):
    side = text_sides["bart"]
    automaton = PatternAutomaton(pattern_of_schema(ORDER), side)
    torch.manual_seed(0)
    texts = [
        t
        for seed in range(4)
        for t in generated(generate, side, [automaton], "bart", seed=seed, do_sample=True)
    ]
    orders = [json.loads(text) for text in texts]
    assert orders and all(
        order["drink"] in ("latte", "tea") and isinstance(order["shots"], int) for order in orders
    )


@pytest.mark.parametrize("kind", KINDS)
def test_slots_of_a_transcript_have_its_words_alone_for_values(text_sides, generate, kind):
    side = text_sides[kind]
    pattern = pattern_of_slots(["room", "size"], "light in the hall.")
    slot = r"(room|size) = ((light|in|the|hall)( |(?=;)))+;"
    automaton = PatternAutomaton(pattern, side)
    texts = [
        text
        for seed in range(8)
        for text in generated(generate, side, [automaton], kind, seed=seed, do_sample=True)
    ]
    assert texts and all(re.fullmatch(f"none|{slot}( {slot})*", text) for text in texts), texts
    assert any(text != "none" for text in texts)
    assert re.fullmatch(pattern, "room = the hall; size = in;")
    assert not re.fullmatch(pattern, "room = kitchen;")
    pattern = pattern_of_slots(["time", "price"], "Wake me at 7:30 a.m. for $3,000. Well...no")
    assert re.fullmatch(pattern, "time = 7:30 a.m; price = 3,000; time = Well no;")
    assert pattern_of_slots(["room"], " ") == "none"
    with pytest.raises(UserError, match="at least one"):
        pattern_of_slots([], "light")


def test_only_a_text_with_nul_is_refused():
    for wanting in ("a\0", r"a\0", r"(a\x00|b)", r"\u{0000}", r"\\\0"):
        assert _wants_nul(wanting)
    for other in (r"\\0", r"C:\\x00", r"[^\x00]+", "[^\0]", r"[\x00-\x7f]", r"\x41", "a0"):
        assert not _wants_nul(other)


def test_patterns_that_cannot_be_followed_are_refused_at_once(text_sides, monkeypatch):
    with pytest.raises(UserError, match="cannot be followed as a regular expression"):
        PatternAutomaton("play (music", text_sides["bart"])
    for pattern in ("yes)|(no", ")(", "a)|(b", r"\\)|(a"):  # which would close what is put around
        with pytest.raises(UserError, match="parentheses do not match"):
            PatternAutomaton(pattern, text_sides["bart"])
        with pytest.raises(UserError, match="parentheses do not match"):
            compiled_from(pattern, text_sides["bart"].tokenizer, text_sides["bart"].end_token_id)
    for pattern in ("(a)|(b)", r"\(a", "[)(]a", "[]()]a", "[^])]a", "[[:alpha:])]a"):
        assert is_balanced(pattern), pattern
    for pattern in ("^a|^b", "a$|b", "(^a|b)c", r"\Aa|b", r"a\z|b"):  # which would never match
        with pytest.raises(UserError, match="asks within where the answer begins or ends"):
            PatternAutomaton(pattern, text_sides["bart"])
    for pattern in ("[^a]b", r"a\$b", r"\^", "[$^]", "^a[^b]$"):
        assert not has_anchor(without_anchors(pattern)), pattern
    with pytest.raises(UserError, match="'Ünïcödé' cannot be followed"):
        PatternAutomaton("Ünïcödé", text_sides["t5"])
    with pytest.raises(UserError, match="has 20,003 characters"):
        PatternAutomaton("(" + "a" * 20_000 + ")+", text_sides["bart"])
    monkeypatch.setattr("speechverse.decoding.patterns.MAX_INDEX", 1000)
    with pytest.raises(UserError, match="MB are kept: give a pattern with fewer repetitions"):
        PatternAutomaton("[a-z]{1,30}", text_sides["bart"])
