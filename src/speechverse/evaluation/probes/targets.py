"""What probes predict from an encoder's layers: labels and speakers, and who may fit on what."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from speechverse.seeding import hash_seed
from speechverse.types import Utterance

LABELS = ("emotion", "accent", "num_speakers", "is_speech")
"""Labels probed, fitted on one part's voices and tested on another's."""

_FEWEST_CLIPS = 4
"""Clips of a speaker who is to be recognised: two to fit, two to test."""

Clips = Mapping[int, Utterance]
"""Row → clip, of one part; rows count the clips of all parts together."""


@dataclass(frozen=True)
class Target:
    """One thing to predict from a clip's vector.

    Attributes:
        fit: Rows fitted on.
        test: Rows tested on.
        answers: Row → the true answer.
        groups: Row → what is kept on one side while the penalty is chosen.
        unfitted: Answers that occur among the clips to test alone → how many; none is tested, for
            no probe could give them.
    """

    name: str
    fit: tuple[int, ...]
    test: tuple[int, ...]
    answers: Mapping[int, str]
    groups: Mapping[int, str]
    unfitted: Mapping[str, int] = field(default_factory=dict)

    def answers_of(self, rows: Iterable[int]) -> list[str]:
        return [self.answers[row] for row in rows]

    @property
    def chance(self) -> float:
        """What always giving one answer would reach."""
        return 1 / len(set(self.answers_of(self.test)))

    @property
    def hindrance(self) -> str:
        """Why it cannot be probed; empty if it can."""
        if min(len(set(self.answers_of(rows))) for rows in (self.fit, self.test)) < 2:
            return f"fewer than two kinds of '{self.name}' among the clips to fit or to test"
        return ""


def find_targets(fit: Clips, test: Clips) -> tuple[list[Target], dict[str, str]]:
    """Every target that the clips have the labels for, and why the others cannot be probed: name →
    reason.
    """
    targets = [*(_label_target(name, fit, test) for name in LABELS), _speaker_target(test)]
    good = [target for target in targets if not target.hindrance]
    why = {target.name: target.hindrance for target in targets if target.hindrance}
    for target in good:
        if target.unfitted:
            kinds = ", ".join(f"'{kind}'" for kind in target.unfitted)
            why[f"{target.name} of {kinds}"] = (
                f"{sum(target.unfitted.values())} clips to test, none to fit"
            )
    return good, why


def _label_target(name: str, fit: Clips, test: Clips) -> Target:
    known = {r: c for r, c in {**fit, **test}.items() if c.labels.get(name) is not None}
    answers = {row: str(clip.labels[name]) for row, clip in known.items()}
    fitted = tuple(row for row in fit if row in known)
    kinds = {answers[row] for row in fitted}
    return Target(
        name,
        fitted,
        tuple(row for row in test if answers.get(row) in kinds),
        answers,
        {row: clip.speaker or clip.id for row, clip in known.items()},
        Counter(answers[row] for row in test if row in known and answers[row] not in kinds),
    )


def _speaker_target(clips: Clips) -> Target:
    """Half of each speaker's clips recognise the other half; a sentence is on one side only."""
    sentences = {row: clip.text or clip.id for row, clip in clips.items()}
    by_speaker: dict[str, list[int]] = defaultdict(list)
    for row, clip in clips.items():
        if clip.speaker and str(clip.labels.get("num_speakers", 1)) == "1":
            by_speaker[clip.speaker].append(row)
    side_of: dict[str, int] = {}
    fit, test = list[int](), list[int]()
    for _, rows in sorted(by_speaker.items()):
        own: tuple[list[int], list[int]] = ([], [])
        for row in sorted(rows, key=lambda row: hash_seed(0, clips[row].id)):
            side = side_of.setdefault(sentences[row], int(len(own[0]) > len(own[1])))
            own[side].append(row)
        if all(own) and len(rows) >= _FEWEST_CLIPS:
            fit += own[0]
            test += own[1]
    answers = {row: clips[row].speaker or "" for row in (*fit, *test)}
    return Target("speaker", tuple(fit), tuple(test), answers, sentences)
