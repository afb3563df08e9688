"""From clips of a manifest to plain JSONL corpora (docs/data.md), one for each part that is
measured.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

Clip = dict[str, Any]
NUM_DEALS = 8000
HOW_MANY = ("one speaker", "two speakers", "three or more speakers")


def read_clips(speech: Path, *datasets: str) -> list[Clip]:
    """The manifest's clips of some data sets, their audio as absolute paths."""
    return [
        c | {"audio": str((speech / c["audio"]).resolve())}
        for c in read_jsonl(speech / "manifest.jsonl")
        if c["dataset"] in datasets
    ]


def read_jsonl(path: Path) -> list[Clip]:
    """One object a line; `splitlines` would also cut at signs inside strings."""
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines if line.strip()]


def write_jsonl(path: Path, lines: Sequence[Clip]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def reading_lines(clips: Sequence[Clip], speakers: Sequence[str]) -> list[Clip]:
    """Read sentences of these speakers, with their text."""
    told = [clip for clip in clips if clip.get("text") and clip["speaker"] in speakers]
    return [_kept(clip, "id", "audio", "text", "speaker") for clip in told]


def _kept(clip: Clip, *keys: str) -> Clip:
    """These keys of a clip, and its language where it has one."""
    return {key: clip[key] for key in keys} | (
        {"language": clip["language"]} if "language" in clip else {}
    )


def digit_lines(clips: Sequence[Clip]) -> list[Clip]:
    """Digits with their speakers, written as models write that learned from people: `Seven.`."""
    return [
        _kept(clip, "audio", "speaker") | {"text": f"{clip['text'].capitalize()}."}
        for clip in clips
    ]


def write_rotations(lines: Sequence[Clip], output: Path) -> Iterator[Path]:
    """For each speaker a folder in which that one is `test.jsonl` and the others
    are `train.jsonl`.
    """
    for speaker in sorted({line["speaker"] for line in lines}):
        write_jsonl(
            output / speaker / "train.jsonl", [line for line in lines if line["speaker"] != speaker]
        )
        write_jsonl(
            output / speaker / "test.jsonl", [line for line in lines if line["speaker"] == speaker]
        )
        yield output / speaker


def order_lines(clips: Sequence[Clip]) -> list[Clip]:
    """Orders with their slots; a name such as `coffeeDrink` becomes `coffee_drink`, as the spoken
    world writes it.
    """
    return [
        _kept(clip, "id", "audio")
        | {
            "speaker": clip["voice_cluster"],
            "slots": {_snake_case(name): value for name, value in clip["slots"].items()},
        }
        for clip in clips
    ]


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def speaker_folds(
    lines: Sequence[Clip], num_folds: int, seed: int = 0, label: str | None = None
) -> list[list[Clip]]:
    """Lines in folds of like size (equal, where the speakers allow it), no speaker in two of them.

    Args:
        lines: What is dealt out.
        num_folds: Into how many.
        seed: Of the deals that are tried.
        label: A field whose every value should be as often in each fold.

    Raises:
        ValueError: If there are fewer speakers than folds.
    """
    sizes = Counter(line["speaker"] for line in lines)
    if len(sizes) < num_folds:
        raise ValueError(f"{len(sizes)} speakers cannot be kept apart in {num_folds} folds")
    rng = random.Random(seed)
    deals = [
        _deal(rng.sample(sorted(sizes), len(sizes)), sizes, num_folds) for _ in range(NUM_DEALS)
    ]
    shares = _shares(lines, label)
    best = min(deals, key=lambda folds: sum(_unevenness(fold, shares) for fold in folds))
    return [[line for line in lines if line["speaker"] in fold] for fold in best]


def _shares(lines: Sequence[Clip], label: str | None) -> dict[str, list[tuple[Any, float]]]:
    """For each speaker, of each value of the label that he has, the share of its clips; rare values
    count as much.
    """
    values = [line[label] if label else None for line in lines]
    totals, shares = Counter(values), dict[str, list[tuple[Any, float]]]()
    for (speaker, value), count in Counter(
        zip((line["speaker"] for line in lines), values, strict=True)
    ).items():
        shares.setdefault(speaker, []).append((value, count / totals[value]))
    return shares


def _unevenness(fold: set[str], shares: Mapping[str, Sequence[tuple[Any, float]]]) -> float:
    """Summed over all folds, least where each holds as large a share of every value."""
    held: dict[Any, float] = {}
    for speaker in fold:
        for value, share in shares[speaker]:
            held[value] = held.get(value, 0.0) + share
    return sum(share**2 for share in held.values())


def _deal(speakers: Sequence[str], sizes: Counter[str], num_folds: int) -> list[set[str]]:
    """Speakers in this order, each to the fold that holds the fewest clips so far."""
    folds: list[set[str]] = [set() for _ in range(num_folds)]
    for speaker in speakers:
        min(folds, key=lambda fold: sum(sizes[other] for other in fold)).add(speaker)
    return folds


def wake_lines(clips: Sequence[Clip]) -> list[Clip]:
    """Two lines a clip: one asks for its own phrase, one for another, each of the others in turn.

    Raises:
        ValueError: If all clips say the same phrase.
    """
    phrases = sorted({clip["text"] for clip in clips})
    if len(phrases) < 2:
        raise ValueError(f"all clips say {phrases}: there is no wrong phrase to ask for")
    lines, turns = [], Counter[str]()
    for clip in clips:
        others = [phrase for phrase in phrases if phrase != clip["text"]]
        wrong = others[turns[clip["text"]] % len(others)]
        turns[clip["text"]] += 1
        for said, keyword in (("yes", clip["text"]), ("no", wrong)):
            about = _kept(clip, "audio", "text") | {"speaker": clip["voice_cluster"]}
            lines.append({"id": f"{clip['id']}-{said}", **about, "keyword": keyword, "said": said})
    return lines


def speech_lines(labelled: Sequence[Clip], spoken: Sequence[Clip], seed: int = 0) -> list[Clip]:
    """All labelled clips, and spoken ones until there are as many with speech as without.

    Spoken clips come from each data set in turn, none longer than the longest labelled one.
    """
    lines = [_speech_line(clip, clip["label"] == "speech") for clip in labelled]
    wanted = sum(-1 if line["is_speech"] else 1 for line in lines)
    longest = max(clip["duration"] for clip in labelled)
    rng, by_set = random.Random(seed), []
    for name in sorted({clip["dataset"] for clip in spoken}):
        usable = [
            clip for clip in spoken if clip["dataset"] == name and clip["duration"] <= longest
        ]
        by_set.append(rng.sample(usable, len(usable)))
    in_turn = [clip for clip in chain.from_iterable(zip_longest(*by_set)) if clip]
    return lines + [_speech_line(clip, True) for clip in in_turn[: max(wanted, 0)]]


def _speech_line(clip: Clip, is_speech: bool) -> Clip:
    return {
        "id": clip["id"],
        "audio": clip["audio"],
        "source": clip["dataset"],
        "is_speech": is_speech,
    }


def accent_lines(clips: Sequence[Clip]) -> list[Clip]:
    """Names and numbers read by speakers of four groups of accents."""
    return [
        _kept(clip, "id", "audio", "speaker") | {"accent": clip["accent_group"]} for clip in clips
    ]


def meeting_lines(clips: Sequence[Clip]) -> list[Clip]:
    """Windows of meetings with how many speak in them; the speaker is the group of meetings that
    share somebody.

    Four speak in meetings of one group alone, which could not be learned from the others: they
    count as three or more.
    """
    groups = _merged({frozenset(clip["speakers"]) for clip in clips})
    return [
        _kept(clip, "id", "audio")
        | {"speaker": next(min(group) for group in groups if group & set(clip["speakers"]))}
        | {"class": HOW_MANY[min(clip["label"], len(HOW_MANY)) - 1]}
        for clip in clips
    ]


def _merged(sets: Iterable[frozenset[str]]) -> list[set[str]]:
    """Sets that share a member become one."""
    merged: list[set[str]] = []
    for some in sets:
        touching = [group for group in merged if group & some]
        merged = [group for group in merged if group not in touching] + [set(some).union(*touching)]
    return merged
