"""The page: what the corpus is, its faults first, then counts, spreads, ceilings and clips to play."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from speechverse.evaluation.report.document import (
    bullets,
    details,
    fact_list,
    framed,
    html_document,
    page_header,
    section,
    table,
    text_row,
)
from speechverse.evaluation.report.plots import histogram_plot
from speechverse.world.card.card import Card
from speechverse.world.card.ceilings import NEAR_CHANCE, Ceiling
from speechverse.world.card.fields import FieldCounts
from speechverse.world.card.players import samples_section

_ROWS = 12
"""Classes of a field that are shown before the rest is folded away."""

_MAX_FOLDED = 300
"""Classes that are folded away; more would only make the page large."""


def card_page(card: Card, page: Path, command: str) -> str:
    """The HTML of a card that will lie at `page`."""
    sections = [
        _header(card),
        _faults(card),
        _splits_section(card),
        _ceilings_section(card, command),
        samples_section(card, page),
        _fields_section(card),
        _spreads_section(card),
        _making_section(card, command),
    ]
    return html_document(f"{card.name}: corpus card", sections)


def _header(card: Card) -> str:
    clips, hours = (sum(getattr(facts, name) for facts in card.splits.values()) for name in ("clips", "hours"))
    speakers = sum(facts.speakers for facts in card.splits.values())
    facts = {"clips": f"{clips:,}", "hours": f"{hours:.2f}", "speakers": f"{speakers:,}" if speakers else "not named"}
    if "seed" in card.description:
        facts["seed"] = str(card.description["seed"])
    kept = [ceiling.met for ceiling in card.ceilings if ceiling.met is not None]
    if kept:
        facts["shortcut limits met"] = f"{sum(kept)} of {len(kept)}"
    made = "Synthetic speech: no person was recorded. " if card.description.get("synthetic") else ""
    lead = f"{made}What it holds, how each class sounds, and what can be guessed in it without listening."
    return page_header("speechverse corpus card", card.name, lead, facts)


def _faults(card: Card) -> str:
    if not card.faults:
        return ""
    return f'<section class="flag"><h3>Not as it should be</h3><ul>{bullets(card.faults)}</ul></section>'


def _splits_section(card: Card) -> str:
    heads = (
        "split",
        "clips",
        "hours",
        "speakers",
        "sentences",
        "words",
        "not in train",
        "shortest",
        "median",
        "longest",
    )
    rows = [
        [
            split, f"{f.clips:,}", f"{f.hours:.2f}", f"{f.speakers:,}", f"{f.sentences:,}", f"{f.words:,}",
            "–" if f.new_words is None else f"{f.new_words:,}",
            f"{f.shortest:.1f} s", f"{f.median:.1f} s", f"{f.longest:.1f} s",
        ]
        for split, f in card.splits.items()
    ]  # fmt: skip
    note = "Sentences and words are counted once each, in lower case and without punctuation."
    return section("Splits", table(heads, map(text_row, rows)) + _overlaps(card), note)


def _overlaps(card: Card) -> str:
    if len(card.splits) < 2:
        return ""
    if not card.overlaps:
        return '<p class="note">Neither texts nor speakers are named, so nobody can say what the splits share.</p>'
    told = []
    for overlap in card.overlaps:
        pair = " and ".join(overlap.splits)
        text = f"{pair} share <b>{overlap.shared}</b> {overlap.what}"
        told.append(f'<li class="{"broken" if overlap.shared else "met"}">{text}</li>')
    return f'<ul class="verdicts">{"".join(told)}</ul>'


def _ceilings_section(card: Card, command: str) -> str:
    if not card.ceilings and not card.notes:
        return ""
    heads = ("guessed", "from", "score", "95 % interval", "limit", "", "chance", "majority", "clips", "how")
    shown = table(heads, map(_ceiling_row, card.ceilings), "ceilings") if card.ceilings else ""
    listed = f'<ul class="note">{bullets(card.notes)}</ul>' if card.notes else ""
    note = (
        "Low is good. Logistic regression guesses a label from one cue only, and is scored by UAR "
        "(recall averaged over classes); word overlap picks the label that shares most words with the sentence, and is "
        f"scored by accuracy. “Near chance” is at most {NEAR_CHANCE:.2f} over it. Majority is the accuracy of "
        f"always naming the commonest class. At most {card.settings.clips:,} clips of each split were listened to. "
        f"Measured again with <code>{escape(command)}</code>."
    )
    return section("What can be guessed without listening", shown + listed, note)


def _ceiling_row(ceiling: Ceiling) -> str:
    verdict = {None: "", True: "met", False: "broken"}[ceiling.met]
    close = ceiling.met and ceiling.limit is not None and ceiling.high > ceiling.limit
    mark = f'<span class="{verdict}">{verdict}</span>{"<small>interval reaches over</small>" if close else ""}'
    limit = "reported" if ceiling.limit is None else f"≤ {ceiling.limit:.2f}"
    majority = "–" if ceiling.majority is None else f"{ceiling.majority:.2f}"
    cells = [
        f"{escape(ceiling.shortcut)}", f"<b>{ceiling.value:.2f}</b><small>{ceiling.measure}</small>",
        f"{ceiling.low:.2f} to {ceiling.high:.2f}", limit, mark, f"{ceiling.chance:.2f}", majority,
        f"{ceiling.clips:,}", f'<div class="how">{escape(ceiling.how)}</div>',
    ]  # fmt: skip
    return f"<tr><td>{escape(ceiling.label)}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _fields_section(card: Card) -> str:
    cards = "".join(_field_card(field, list(card.splits)) for field in card.fields)
    if not cards:
        return section("Labels", "", "The clips have no labels beside their text.")
    note = "Clips of each class and split; a bar is the share of the field's largest class in that split."
    return section("Labels", f'<div class="cards columns">{cards}</div>', note)


def _field_card(field: FieldCounts, splits: Sequence[str]) -> str:
    largest = {split: max((counts[split] for counts in field.counts.values()), default=0) for split in splits}
    rows = [_count_row(name, counts, largest) for name, counts in field.counts.items()]
    without = "".join(f"<td>{field.unlabelled[split]:,}</td>" for split in splits)
    last = f'<tr class="soft"><td>without</td>{without}</tr>' if any(field.unlabelled.values()) else ""
    heads = ("", *splits)
    first = table(heads, (*rows[:_ROWS], last), "counts")
    count = f"{field.num_classes:,} {'bins' if field.kind == 'number' else 'classes'}"
    return framed(field.name, first + _folded(heads, rows[_ROWS:], field.num_classes - _ROWS), count)


def _folded(heads: Sequence[str], rows: Sequence[str], count: int) -> str:
    if not rows:
        return ""
    told = f'<p class="soft">and {count - _MAX_FOLDED:,} rarer ones</p>' if count > _MAX_FOLDED else ""
    return details(f"{count:,} more", table(heads, rows[:_MAX_FOLDED], "counts", "scroll tall") + told)


def _count_row(name: str, counts: Mapping[str, int], largest: Mapping[str, int]) -> str:
    cells = "".join(
        f'<td class="bar" style="--share:{count / max(1, largest[split]):.3f}">{count:,}</td>'
        for split, count in counts.items()
    )
    return f"<tr><td>{escape(name)}</td>{cells}</tr>"


def _spreads_section(card: Card) -> str:
    plots = [("Duration", "all clips", histogram_plot("seconds", card.durations, "durations of clips"))]
    if card.levels:
        plot = histogram_plot("dBFS", card.levels, "levels of clips")
        plots.append(("Level", "of the sounding parts of the clips listened to", plot))
    cards = "".join(framed(title, plot, note) for title, note, plot in plots)
    return section("Lengths and levels", f'<div class="cards wide">{cards}</div>')


def _making_section(card: Card, command: str) -> str:
    facts = {**{name: value for name, value in card.description.items() if name != "spec"}, "card made by": command}
    facts |= {f"spec: {name}": value for name, value in (card.description.get("spec") or {}).items()}
    return section("How it was made", fact_list((name.replace("_", " "), value) for name, value in facts.items()))
