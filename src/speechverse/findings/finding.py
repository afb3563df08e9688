"""What a finding is: a claim of the paper, the paired comparisons that decide it, and the rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from speechverse.evaluation.results import OWN

Verdict = Literal["held", "not held", "not shown", "not testable here"]
HELD: Verdict = "held"
NOT_HELD: Verdict = "not held"
NOT_SHOWN: Verdict = "not shown"
NOT_TESTABLE: Verdict = "not testable here"

GIVEN = ""
"""The model that the findings are about, beside those trained for them."""


@dataclass(frozen=True)
class Asked:
    """One evaluation.

    Attributes:
        name: Of its folder.
        test_set: The corpus it asks, by its name among the test sets.
        model: The name of a training, or `GIVEN`.
        settings: Of `EvaluationSettings`, beside those that have a place of their own.
        decoding: Of `DecodingOptions`.
        strata: Kinds of clips it is about; none is all.
        share: Of the clips a task that are asked at most.
    """

    name: str
    test_set: str
    tasks: tuple[str, ...]
    systems: tuple[str, ...] = (OWN,)
    model: str = GIVEN
    settings: Mapping[str, Any] = field(default_factory=dict)
    decoding: Mapping[str, Any] = field(default_factory=dict)
    strata: tuple[str, ...] = ()
    share: float = 1.0


@dataclass(frozen=True)
class Answers:
    """Answers of one evaluation to one task.

    Attributes:
        systems: Whose; of several the best counts, as far as they were measured.
        variant: Which of the task's questions; all if none is named.
        metric: The task's headline if none is named.
    """

    asked: Asked
    task: str
    systems: tuple[str, ...] = (OWN,)
    variant: str = ""
    metric: str = ""


@dataclass(frozen=True)
class Claimed:
    """One comparison that a finding rests on: `better` answers better than `than`.

    Attributes:
        better: Of one system: the best of several, chosen by the answers that are compared, would
            favour the claim.
        than: Of several systems, the best.
        margin: "Close" in the points that tables show: so much worse still counts.
        counts: Whether the verdict rests on it; others are shown beside.
    """

    what: str
    better: Answers
    than: Answers
    margin: float = 0.0
    counts: bool = True

    def __post_init__(self) -> None:
        if len(self.better.systems) > 1:
            raise ValueError(f"'{self.what}': name the one system that answers better")


@dataclass(frozen=True)
class Finding:
    """A claim of the paper, and how it is decided.

    Attributes:
        source: Where the paper says so.
        needed: Comparisons that must hold; all of those that count if None.
        full: Whether models are trained for it.
        reason: Why it may come out otherwise at a small size, in a sentence.
    """

    id: str
    claim: str
    source: str
    claims: tuple[Claimed, ...]
    needed: int | None = None
    full: bool = False
    reason: str = ""

    @property
    def evaluations(self) -> tuple[Asked, ...]:
        """What must be asked for it, each once."""
        sides = (side for claimed in self.claims for side in (claimed.better, claimed.than))
        return tuple({side.asked.name: side.asked for side in sides}.values())

    @property
    def rule(self) -> str:
        """What it takes to hold, in words."""
        count = sum(claimed.counts for claimed in self.claims)
        return f"{self.needed or 'all'} of {count}" if count > 1 else "the one comparison"


def verdict_of(low: float, high: float, margin: float = 0.0) -> Verdict:
    """Whether a difference that should be positive is, from its interval.

    Args:
        low: The interval's lower end, in the sense of the claim.
        high: Its upper end.
        margin: So far below 0 is still close.
    """
    if low > -margin:
        return HELD
    return NOT_HELD if high < -margin else NOT_SHOWN


def verdict_of_all(verdicts: Sequence[Verdict], needed: int | None = None) -> Verdict:
    """Whether a claim holds that rests on several comparisons; those that could not be made do not
    count.

    Args:
        verdicts: Of the comparisons.
        needed: How many must hold; all if None.
    """
    made = [verdict for verdict in verdicts if verdict != NOT_TESTABLE]
    if not made:
        return NOT_TESTABLE
    wanted = len(made) if needed is None else needed
    held, open_ = made.count(HELD), made.count(NOT_SHOWN)
    if held >= wanted:
        return HELD
    if held + open_ >= wanted:
        return NOT_SHOWN
    missing = 0 if needed is None else len(verdicts) - len(made)
    return NOT_TESTABLE if held + open_ + missing >= wanted else NOT_HELD
