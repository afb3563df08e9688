"""Lists as people write them."""

from __future__ import annotations


def listed(text: str | None) -> tuple[str, ...]:
    """What is named with commas between; nothing between two commas names nothing."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())
