"""The corpus card: what a corpus holds, how its classes sound, and what leaks in it."""

from __future__ import annotations

from speechverse.world.card.card import Card, CardSettings, make_card, numbers_beside, write_card

__all__ = ["Card", "CardSettings", "make_card", "numbers_beside", "write_card"]
