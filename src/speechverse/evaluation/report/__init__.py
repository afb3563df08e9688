"""The page: one self-contained HTML file made from an evaluation's files alone."""

from __future__ import annotations

from speechverse.evaluation.report.page import write_report

__all__ = ["write_report"]
