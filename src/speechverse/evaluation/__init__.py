"""Evaluation: systems side by side under the same tasks, numbers with intervals, and a page to read them on."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_HOMES = {
    "report": ("write_report",),
    "results": ("AnswerRecord", "Results", "Score", "load_answers", "load_results"),
    "runner": ("EvaluationSettings", "evaluate"),
    "systems": ("SYSTEMS", "Parts", "System", "make_systems"),
    "table": ("results_table",),
}


def __getattr__(name: str) -> Any:
    """Loads what is asked for, so that describing a checkpoint does not need what evaluating needs."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
