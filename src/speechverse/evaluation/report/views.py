"""What the pages show of results: cards, tables and lists, ready for a template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from speechverse.evaluation.provenance import LAYER_WEIGHTS
from speechverse.evaluation.report.plots import Bar, score_plot
from speechverse.evaluation.report.render import playable
from speechverse.evaluation.results import (
    WHOLE,
    AnswerRecord,
    Confusion,
    Results,
    Score,
    TaskReport,
)
from speechverse.metrics import FAULTS_OF_FORM, get_metric

MAX_MATRIX = 12
MAX_PAIRS = 15
NUM_WORST = 5

View = Mapping[str, Any]


def results_view(results: Results, own: str) -> View:
    """Scores of all tasks and parts, and how they were come by; `own` is set off by colour."""
    return {
        "results": results,
        "systems": list(results.systems),
        "cards": [_card(results, report, own) for report in results.tasks],
        "rows": [row for report in results.tasks for row in _all_numbers(results, report)],
        "parts": [part for report in results.tasks if (part := _parts(results, report))["rows"]],
        "guessing": results.guessing,
        "not_measured": [
            (f"{left.title} ({left.name})", left.reason) for left in results.not_measured
        ],
        "notes": [*results.left_out, *results.notes],
        "times": [(t.task, t.system, t.num_answers, f"{t.seconds:.1f}") for t in results.timings],
        "provenance": _provenance(results),
    }


def _card(results: Results, report: TaskReport, own: str) -> View:
    metric = get_metric(report.metrics[0])
    bars, majority = [], None
    for system in results.systems:
        if (score := results.score(report.name, system)) is None:
            continue
        shown = [metric.shown(value) for value in (score.value, score.low, score.high)]
        if system == "majority":
            majority = shown[0]
        else:
            bars.append(Bar(system, *shown))
    limit = 100.0 if metric.percent and metric.higher_is_better else None
    label = (
        f"{report.title}: {metric.label} of"
        f" {', '.join(f'{bar.system} {bar.value:.1f}' for bar in bars)}"
    )
    line = (
        f"{metric.label}{' %' if metric.percent else ''},"
        f" {'higher' if metric.higher_is_better else 'lower'} is better"
    )
    line += f" · n = {report.num_examples}" + (
        "" if majority is None else f" · majority {majority:.1f}"
    )
    return {
        "title": report.title,
        "line": line,
        "plot": score_plot(label, bars, majority, own, limit) if bars else "",
    }


def _all_numbers(results: Results, report: TaskReport) -> list[View]:
    rows = []
    for name in (*report.metrics, *FAULTS_OF_FORM):
        scores = [results.score(report.name, system, name) for system in results.systems]
        if any(scores):
            rows.append(_row(f"{report.name} {get_metric(name).label}", scores, name))
    return rows


def _parts(results: Results, report: TaskReport) -> View:
    metric, rows = report.metrics[0], []
    for part in dict.fromkeys(
        s.slice for s in results.scores if s.task == report.name and s.slice != WHOLE
    ):
        scores = [results.score(report.name, system, metric, part) for system in results.systems]
        num = next(score.num_examples for score in scores if score)
        rows.append(_row(f"{part} (n = {num})", scores, metric))
    return {"title": f"{report.title}: {get_metric(metric).label}", "rows": rows}


def _row(name: str, scores: Sequence[Score | None], metric_name: str) -> View:
    metric = get_metric(metric_name)
    best = (max if metric.higher_is_better else min)(score.value for score in scores if score)
    marked = metric_name not in FAULTS_OF_FORM

    def cell(score: Score | None) -> View | None:
        if score is None:
            return None
        shown = {
            side: f"{metric.shown(getattr(score, side)):.1f}" for side in ("value", "low", "high")
        }
        return {**shown, "best": marked and score.value == best}

    return {"name": name, "cells": [cell(score) for score in scores]}


def confusion_cards(results: Results, own: str) -> list[View]:
    """One system's confusions: a matrix for small sets of labels, the commonest mistakes for large
    ones.
    """
    titles = {report.name: report.title for report in results.tasks}
    return [
        {
            "title": titles[confusion.task],
            **(_matrix if len(confusion.labels) <= MAX_MATRIX else _pairs)(confusion),
        }
        for confusion in results.confusions
        if confusion.system == own
    ]


def _matrix(confusion: Confusion) -> View:
    columns = [*confusion.labels, "unreadable"]
    used = [
        i
        for i, name in enumerate(columns)
        if i < len(confusion.labels) or any(row[i] for row in confusion.counts)
    ]
    rows = []
    for label, counts in zip(confusion.labels, confusion.counts, strict=True):
        total = max(1, sum(counts))
        rows.append(
            (label, [(counts[index], f"{0.75 * counts[index] / total:.2f}") for index in used])
        )
    return {"columns": [columns[index] for index in used], "rows": rows}


def _pairs(confusion: Confusion) -> View:
    columns = [*confusion.labels, "unreadable"]
    mistakes = [
        (truth, columns[index], count)
        for truth, counts in zip(confusion.labels, confusion.counts, strict=True)
        for index, count in enumerate(counts)
        if count and columns[index] != truth
    ]
    mistakes.sort(key=lambda mistake: -mistake[2])
    return {
        "columns": [],
        "mistakes": mistakes[:MAX_PAIRS],
        "rarer": max(0, len(mistakes) - MAX_PAIRS),
    }


def worst_answers(
    results: Results, answers: Sequence[AnswerRecord], own: str, folder: Path
) -> list[View]:
    """One system's worst examples of each task, with what the others said to the same clip, and the
    clip to play.

    Args:
        results: Of the same evaluation.
        answers: All of them.
        own: The system.
        folder: Where results lie; clips are named from there.
    """
    by_example: dict[tuple[str, str], list[AnswerRecord]] = {}
    for record in answers:
        by_example.setdefault((record.task, record.example), []).append(record)
    tasks: list[View] = []
    for report in results.tasks:
        metric = get_metric(report.metrics[0])
        made = [record for record in answers if (record.task, record.system) == (report.name, own)]
        wrong = [record for record in made if abs(record.score - metric.perfect) > 1e-9]
        wrong.sort(
            key=lambda record: (
                record.score if metric.higher_is_better else -record.score,
                record.example,
            )
        )
        shown = [by_example[record.task, record.example] for record in wrong[:NUM_WORST]]
        sources = [records[0].clip and playable(records[0].clip.under(folder)) for records in shown]
        told = {
            "title": report.title,
            "num": len(made),
            "num_wrong": len(wrong),
            "examples": shown,
            "sources": sources,
        }
        tasks += [told] if made else []
    return tasks


def _provenance(results: Results) -> list[tuple[str, Any]]:
    facts = {
        "speechverse": results.version,
        **{
            f"model {name}": value
            for name, value in results.model.items()
            if name not in LAYER_WEIGHTS
        },
        "manifest": results.corpus.get("manifest_sha256"),
        "normaliser": results.normalizer,
        **{f"{name} signature": text for name, text in results.signatures.items()},
        **{name: value for name, value in results.settings.items() if name != "decoding"},
        **{
            f"decoding {name}": value
            for name, value in results.settings.get("decoding", {}).items()
        },
    }
    return [(name, value) for name, value in facts.items() if value is not None]
