"""What every page is made of: one document with the style in it, its head, sections, cards, tables and lists.

What is called plain text is escaped here; everything else is HTML already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any


def html_document(title: str, sections: Iterable[str]) -> str:
    """A whole HTML page.

    Args:
        title: Of the window, as plain text.
        sections: HTML from top to bottom; empty ones are left out.
    """
    css = files(__package__).joinpath("templates/report.css").read_text(encoding="utf-8")
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>\n{css}</style>\n</head>\n<body>\n" + "\n".join(filter(None, sections)) + "\n</body>\n</html>\n"
    )


def page_header(kind: str, title: str, lead: str, facts: Mapping[str, str]) -> str:
    """What a page is about, one sentence on it, and its facts; all plain text."""
    listed = "".join(f"<span>{escape(name)} <b>{escape(value)}</b></span>" for name, value in facts.items())
    return (
        f'<header><p class="kind">{escape(kind)}</p><h1>{escape(title)}</h1>'
        f'<p class="lead">{escape(lead)}</p><div class="facts">{listed}</div></header>'
    )


def section(title: str, body: str, note: str = "") -> str:
    """A part of a page under its heading; the note stands before the body."""
    return f"<section><h2>{title}</h2>{_paragraph('note', note)}{body}</section>"


def framed(title: str, body: str, note: str = "") -> str:
    """A card: a frame with a heading in plain text; the note stands before the body."""
    return f'<div class="card"><h3>{escape(title)}</h3>{_paragraph("soft", note)}{body}</div>'


def _paragraph(kind: str, text: str) -> str:
    return f'<p class="{kind}">{text}</p>' if text else ""


def details(summary: str, body: str, is_open: bool = False) -> str:
    """What is folded away under its summary."""
    return f"<details{' open' if is_open else ''}><summary>{summary}</summary>{body}</details>"


def table(heads: Iterable[str], rows: Iterable[str], kind: str = "", frame: str = "scroll") -> str:
    """A table that scrolls where it is too wide.

    Args:
        heads: Of the columns, in plain text.
        rows: From top to bottom.
        kind: The table's class.
        frame: The class of what it scrolls in.
    """
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    named = f' class="{kind}"' if kind else ""
    return f'<div class="{frame}"><table{named}><tr>{head}</tr>{"".join(rows)}</table></div>'


def text_row(cells: Iterable[object]) -> str:
    """A row of plain text and numbers."""
    return f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in cells)}</tr>"


def bullets(texts: Sequence[str]) -> str:
    """The items of a list, in plain text."""
    return "".join(f"<li>{escape(text)}</li>" for text in texts)


def fact_list(facts: Iterable[tuple[str, Any]]) -> str:
    """Names and values, in plain text."""
    listed = (f"<dt>{escape(name)}</dt><dd><code>{escape(str(value))}</code></dd>" for name, value in facts)
    return f"<dl>{''.join(listed)}</dl>"
