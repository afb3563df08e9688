"""Clips that cannot be used: how many of them a corpus may have, and what is said of them,
everywhere alike.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from speechverse.errors import CorpusError

log = logging.getLogger(__name__)

MAX_BAD_SHARE = 0.01
"""Of a corpus, unless said otherwise."""

_NAMED = 3


def max_bad_clips(share: float, total: int) -> int:
    """How many bad clips a share of a corpus lets pass: at least one, unless the share is 0."""
    return max(1, int(share * total)) if share > 0 else 0


def describe_bad_clips(bad: Mapping[str, str], total: int, where: str = "") -> str:
    """How many of `total` clips cannot be used, and the first of them with their reasons.

    Args:
        bad: Id to reason.
        total: How many clips there are, bad ones included.
        where: What they are part of, such as "corpus 'own'".
    """
    first = "; ".join(f"'{name}': {reason}" for name, reason in list(bad.items())[:_NAMED])
    return (
        f"{where}{': ' if where else ''}{len(bad)} of {total} clips cannot be used (first: {first})"
    )


def leave_out(bad: Mapping[str, str], total: int, where: str) -> None:
    """Logs clips that are left out; raises a CorpusError if there is no other."""
    if not bad:
        return
    told = describe_bad_clips(bad, total, where)
    if len(bad) == total:
        raise CorpusError(f"{told}; none is left: mend them or name others")
    log.warning("%s; they are left out", told)


def refuse_too_many(bad: Mapping[str, str], total: int, share: float, where: str = "") -> None:
    """Raises a CorpusError of the bad clips if they are more than a share of all."""
    if len(bad) > max_bad_clips(share, total):
        raise CorpusError(
            f"{describe_bad_clips(bad, total, where)}; more than {share:.1%} are refused"
            " (in a recipe: data.max_bad_share): mend them or take them out"
        )
