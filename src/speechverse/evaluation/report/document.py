"""The frame of every page: one document with the style in it, and what stands at its head."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from importlib.resources import files


def html_document(title: str, sections: Iterable[str]) -> str:
    """A whole HTML page.

    Args:
        title: Of the window, as plain text.
        sections: HTML from top to bottom; empty ones are left out.
    """
    css = files(__package__).joinpath("report.css").read_text(encoding="utf-8")
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
