"""From a model to answers: constraints over the tokenizer's pieces, scoring of choices, batched
generation.
"""

from __future__ import annotations

from speechverse.decoding.answering import answer, answer_questions, check_streamable
from speechverse.decoding.automaton import LabelTrie, SlotListAutomaton
from speechverse.decoding.constraint import ConstraintLogitsProcessor, LoopGuard
from speechverse.decoding.options import DecodingOptions
from speechverse.decoding.patterns import pattern_of_slots
from speechverse.decoding.questions import Question, default_limit
from speechverse.decoding.streaming import AnswerStream
from speechverse.json_schema import pattern_of_schema

__all__ = [
    "AnswerStream",
    "ConstraintLogitsProcessor",
    "DecodingOptions",
    "LabelTrie",
    "LoopGuard",
    "Question",
    "SlotListAutomaton",
    "answer",
    "answer_questions",
    "check_streamable",
    "default_limit",
    "pattern_of_schema",
    "pattern_of_slots",
]
