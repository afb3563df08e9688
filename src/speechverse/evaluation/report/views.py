"""What the pages show of results: cards, tables and lists, ready for a template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from speechverse.evaluation.provenance import LAYER_WEIGHTS
from speechverse.evaluation.report.plots import Bar, score_plot
from speechverse.evaluation.report.render import playable
from speechverse.evaluation.results import (
    AnswerRecord,
    Confusion,
    Paired,
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
        "paired": [_paired_row(pair) for pair in results.paired],
        "guessing": results.guessing,
        "not_measured": [
            (f"{left.title} ({left.name})", left.reason) for left in results.not_measured
        ],
        "notes": [*results.left_out, *results.notes],
        "times": [
            (t.task, t.system, t.num_answers, f"{t.seconds:.1f}", t.num_tokens)
            for t in results.timings
        ],
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
    values = ", ".join(f"{bar.system} {bar.value:.1f}" for bar in bars)
    better = f"{'higher' if metric.higher_is_better else 'lower'} is better"
    line = f"{metric.label}{' %' if metric.percent else ''}, {better} · n = {report.num_examples}"
    if majority is not None:
        line += f" · majority {majority:.1f}"
    label = f"{report.title}: {metric.label} of {values}"
    plot = score_plot(label, bars, majority, own, limit) if bars else ""
    return {"title": report.title, "line": line, "plot": plot}


def _all_numbers(results: Results, report: TaskReport) -> list[View]:
    rows = []
    for name in (*report.metrics, *FAULTS_OF_FORM):
        scores = [results.score(report.name, system, name) for system in results.systems]
        if any(scores):
            rows.append(_row(f"{report.name} {get_metric(name).label}", scores, name))
    return rows


def _paired_row(pair: Paired) -> tuple[str, ...]:
    metric = get_metric(pair.metric)
    value, low, high = (metric.shown(part) for part in (pair.value, pair.low, pair.high))
    found = f"{value:+.1f}", f"{low:+.1f} to {high:+.1f}", f"{pair.p_value:.3f}"
    name = f"{pair.task} {metric.label}: {pair.system} − {pair.other}"
    return name, *found, str(pair.num_examples)


def _parts(results: Results, report: TaskReport) -> View:
    metric, rows = report.metrics[0], []
    for part in results.parts_of(report.name):
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
        sides = {"value": score.value, "low": score.low, "high": score.high}
        shown = {side: f"{metric.shown(number):.1f}" for side, number in sides.items()}
        return {**shown, "best": marked and score.value == best}

    return {"name": name, "cells": [cell(score) for score in scores]}


def confusion_cards(results: Results, own: str) -> list[View]:
    """One system's confusions: a matrix for small sets of labels, the commonest mistakes for large
    ones.
    """
    titles = {report.name: report.title for report in results.tasks}
    cards: list[View] = []
    for confusion in results.confusions:
        if confusion.system == own:
            view = _matrix if len(confusion.labels) <= MAX_MATRIX else _pairs
            cards.append({"title": titles[confusion.task], **view(confusion)})
    return cards


def _matrix(confusion: Confusion) -> View:
    columns, num_labels = [*confusion.labels, "unreadable"], len(confusion.labels)
    unreadable = any(row[-1] for row in confusion.counts)
    used = range(num_labels + unreadable)
    rows = []
    for label, counts in zip(confusion.labels, confusion.counts, strict=True):
        total = max(1, sum(counts))
        rows.append((label, [(counts[i], f"{0.75 * counts[i] / total:.2f}") for i in used]))
    return {"columns": [columns[index] for index in used], "rows": rows}


def _pairs(confusion: Confusion) -> View:
    columns = [*confusion.labels, "unreadable"]
    mistakes = [
        (truth, answer, count)
        for truth, counts in zip(confusion.labels, confusion.counts, strict=True)
        for answer, count in zip(columns, counts, strict=True)
        if count and answer != truth
    ]
    mistakes.sort(key=lambda mistake: -mistake[2])
    rarer = max(0, len(mistakes) - MAX_PAIRS)
    return {"columns": [], "mistakes": mistakes[:MAX_PAIRS], "rarer": rarer}


def worst_answers(results: Results, answers: Sequence[AnswerRecord], own: str) -> list[View]:
    """One system's worst examples of each task, with what the others said to the same clips, and
    these to play.
    """
    by_example: dict[tuple[str, str], list[AnswerRecord]] = {}
    for record in answers:
        by_example.setdefault((record.task, record.example), []).append(record)
    tasks: list[View] = []
    for report in results.tasks:
        metric = get_metric(report.metrics[0])
        made = [record for record in answers if (record.task, record.system) == (report.name, own)]
        if not made:
            continue
        wrong = [record for record in made if abs(record.score - metric.perfect) > 1e-9]
        sign = 1 if metric.higher_is_better else -1
        wrong.sort(key=lambda record: (sign * record.score, record.example))
        shown = [by_example[record.task, record.example] for record in wrong[:NUM_WORST]]
        told = {
            "title": report.title,
            "num": len(made),
            "num_wrong": len(wrong),
            "examples": shown,
            "sources": [playable(records[0].clips) for records in shown],
        }
        tasks.append(told)
    return tasks


def _provenance(results: Results) -> list[tuple[str, Any]]:
    of_model = {f"model {k}": v for k, v in results.model.items() if k not in LAYER_WEIGHTS}
    facts = {
        "speechverse": results.version,
        **of_model,
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
