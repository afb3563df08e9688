"""A web page to talk to a model: `build_page(loaded)` is a gradio app like any other."""

from __future__ import annotations

from speechverse.demo.page import build_page, door, look

__all__ = ["build_page", "door", "look"]
