"""Evaluation: systems side by side under the same tasks, numbers with intervals, and a page to read them on."""

from __future__ import annotations

from speechverse.evaluation.report import write_report
from speechverse.evaluation.results import AnswerRecord, Results, Score, load_answers, load_results
from speechverse.evaluation.runner import EvaluationSettings, evaluate
from speechverse.evaluation.systems import SYSTEMS, Parts, System, make_systems
from speechverse.evaluation.table import results_table

__all__ = [
    "SYSTEMS",
    "AnswerRecord",
    "EvaluationSettings",
    "Parts",
    "Results",
    "Score",
    "System",
    "evaluate",
    "load_answers",
    "load_results",
    "make_systems",
    "results_table",
    "write_report",
]
