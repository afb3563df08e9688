"""Evaluation: systems side by side under the same tasks, numbers with intervals, and a page to read
them on.

Names are looked up when first asked for: describing a checkpoint does not need what evaluating
needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from speechverse.lazy import loader_of

if TYPE_CHECKING:
    from speechverse.evaluation.parts import Parts as Parts
    from speechverse.evaluation.parts import System as System
    from speechverse.evaluation.parts import make_systems as make_systems
    from speechverse.evaluation.report import write_report as write_report
    from speechverse.evaluation.results import AnswerRecord as AnswerRecord
    from speechverse.evaluation.results import Results as Results
    from speechverse.evaluation.results import load_answers as load_answers
    from speechverse.evaluation.results import load_results as load_results
    from speechverse.evaluation.runner import EvaluationSettings as EvaluationSettings
    from speechverse.evaluation.runner import evaluate as evaluate
    from speechverse.evaluation.table import cost_table as cost_table
    from speechverse.evaluation.table import not_measured_table as not_measured_table
    from speechverse.evaluation.table import results_table as results_table

_HOMES = {
    "AnswerRecord": "results",
    "EvaluationSettings": "runner",
    "Parts": "parts",
    "Results": "results",
    "System": "parts",
    "cost_table": "table",
    "evaluate": "runner",
    "load_answers": "results",
    "load_results": "results",
    "make_systems": "parts",
    "not_measured_table": "table",
    "results_table": "table",
    "write_report": "report",
}
__all__ = list(_HOMES)
__getattr__ = loader_of(__name__, _HOMES)
