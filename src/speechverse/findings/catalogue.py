"""The paper's claims, one by one: what is asked for each, and which comparisons decide it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from speechverse.evaluation.results import OWN
from speechverse.findings.finding import Answers, Asked, Claimed, Finding
from speechverse.findings.trainings import (
    ALL_LAYERS,
    AT_ONCE,
    CURRICULUM,
    FROZEN,
    GROUPS,
    LAST_LAYER,
    TUNED_ENCODER,
)
from speechverse.registry import SYSTEMS, names_a_file
from speechverse.tasks import get_task
from speechverse.tasks.hinted import NO_HINTS, RIGHT, WRONG

DOMAIN = str(Path(__file__).with_name("domain.yaml"))
TASKS = ("asr", "st", "ic", "sf", "kwe", "kws", "er", "asc", "ac", "sc", "sns")
SPOKEN, VOICE = ("ic", "sf", "st", "kws"), ("er", "asc", "ac", "sc", "sns")
BY_WORDS = ("ic", "er", "asc", "ac", "sc")
"""Closed tasks that ask the same of every clip, so that a text floor can be fitted."""
CONTROLS = (OWN, "oracle", "oracle-tuned", "other-clip", "majority", "tf-idf")
"""Who is measured beside, but is no rival that hears the clip; all others are."""

BESIDE = (OWN, "cascade-whisper", "cascade", "oracle", "other-clip", "majority")
"""Who is measured on all tasks without anything else being given."""

CLOSE = 2.0
"""Points within which a score is close to another."""

WITHIN = 4.0
"""Points that held-out wordings may cost."""


def findings_of(systems: Sequence[str] = ()) -> tuple[Finding, ...]:
    """All findings, in the paper's order.

    Args:
        systems: Measured on all tasks beside those that always are: `FITTED`, `TUNED`, and any
            other that can be measured, by the name that it is given by.
    """
    clean = Asked("clean", "clean", TASKS, (*BESIDE, *systems))
    return (
        _multitask(clean),
        _task_by_task(),
        _curriculum(),
        _layers(),
        _wordings(clean),
        _unseen_labels(),
        _unseen_tasks(),
        _joint(),
        _end_to_end(clean),
        _hints(),
        _tuned_encoder(),
    )


def _title(task: str) -> str:
    """What people call a task: the plots name it so."""
    return get_task(task).title


def _called(names: Iterable[str]) -> tuple[str, ...]:
    """What results call the systems of these names: one in a user's file has a name of its own."""
    return tuple(SYSTEMS[name].name if names_a_file(name) else name for name in names)


def _is_cascade(name: str) -> bool:
    family = name.partition(":")[0]
    return family in SYSTEMS and family.startswith("cascade")


def _multitask(clean: Asked) -> Finding:
    rivals = _called(name for name in clean.systems if name.partition(":")[0] not in CONTROLS)
    claims = [
        Claimed(_title(task), Answers(clean, task), Answers(clean, task, rivals), CLOSE)
        for task in TASKS
    ]
    if "tf-idf" in clean.systems:  # where words alone do, readers should see it
        floors = ((task, Answers(clean, task, ("tf-idf",))) for task in BY_WORDS)
        claims += [
            Claimed(
                f"{_title(task)}, over the text floor", Answers(clean, task), floor, counts=False
            )
            for task, floor in floors
        ]
    return Finding(
        "F1",
        "one model for all tasks is close to or better than the baselines on 9 of 11",
        "tables 2 and 3",
        tuple(claims),
        needed=9,
        reason="one small model shares few adapters among eleven tasks, and Whisper's own decoder"
        " was trained on far more speech than the model that is compared with it",
    )


def _trained(training: str, tasks: tuple[str, ...] = TASKS) -> Asked:
    return Asked(training, "clean", tasks, model=training)


def _task_by_task() -> Finding:
    """All of them are trained for it: the model given had far more training than any group."""
    one = _trained(CURRICULUM)
    claims = [
        Claimed(_title(task), Answers(one, task), Answers(_trained(name, group), task), CLOSE)
        for name, group in GROUPS.items()
        for task in group
    ]
    return Finding(
        "F1b",
        "one model for all tasks is close to models for one group of tasks each",
        "tables 2 and 3, Task-FT",
        tuple(claims),
        needed=9,
        full=True,
        reason="a group's model hears each of its tasks more often in half the clip-steps",
    )


def _two_models(better: str, than: str) -> tuple[Claimed, ...]:
    one, other = _trained(better), _trained(than)
    return tuple(Claimed(_title(task), Answers(one, task), Answers(other, task)) for task in TASKS)


def _curriculum() -> Finding:
    return Finding(
        "F2",
        "the curriculum converges faster than all parts at once, in the same time",
        "section 2.3",
        _two_models(CURRICULUM, AT_ONCE),
        needed=6,
        full=True,
        reason="a small adapter at a low rate need not diverge when all trains at once",
    )


def _layers() -> Finding:
    return Finding(
        "F3",
        "learned weights of all encoder layers serve better than the last layer",
        "section 3.2",
        _two_models(ALL_LAYERS, LAST_LAYER),
        needed=6,
        full=True,
        reason="the paper says so of a BEST-RQ encoder; the last layer of one that was trained to"
        " transcribe, as Whisper's, already holds the words",
    )


def _wordings(clean: Asked) -> Finding:
    held_out = Asked("held-out", "clean", TASKS, settings={"wording": "held_out"})
    claims = (
        Claimed(_title(task), Answers(held_out, task), Answers(clean, task), WITHIN)
        for task in TASKS
    )
    return Finding(
        "F4",
        f"wordings that training never held cost at most {WITHIN:g} points",
        "table 5",
        tuple(claims),
        reason="few clips make wide intervals: every task must be shown to lose no more",
    )


def _cells(task: str, test_set: str, strata: tuple[str, ...], size: int) -> dict[str, Asked]:
    """The four ways to ask for labels that training never held: of the same clips, with the same
    labels in the same order; nothing differs but descriptions and constraint.
    """
    ways = {
        "neither": (False, "free"),
        "constraint": (False, "constrain"),
        "descriptions": (True, "free"),
        "both": (True, "constrain"),
    }
    return {
        cell: Asked(
            f"{test_set}-{task}-{cell}",
            test_set,
            (task,),
            (OWN, "oracle"),
            settings={"choices_per_prompt": size, "descriptions": described},
            decoding={"choice_mode": mode, "max_new_tokens": 48},
            strata=strata,
        )
        for cell, (described, mode) in ways.items()
    }


def _unseen_labels() -> Finding:
    new = ("unseen_intents", "unseen_domain")
    claims: list[Claimed] = []
    for task, test_set, strata, size, metric in (
        ("ic", "unseen", new, 8, ""),
        ("sf", "unseen", new, 8, "sd_f1"),
        ("ic", "slurp", (), 16, ""),
    ):
        cells = _cells(task, test_set, strata, size)
        for cell, system in (
            ("both", OWN),
            ("both", "oracle"),
            ("constraint", OWN),
            ("descriptions", OWN),
        ):
            better, than = (
                Answers(cells[one], task, (system,), metric=metric) for one in (cell, "neither")
            )
            name = f"{_title(task)} of {test_set}, {system}: {cell} − neither"
            counts = (cell, system) == ("both", OWN)
            claims.append(Claimed(name, better, than, counts=counts))
    return Finding(
        "F5",
        "descriptions and a constraint lift labels that training never held",
        "table 7",
        tuple(claims),
        reason="what the oracle cannot do either is no fault of hearing: the LLM chooses",
    )


def _unseen_tasks() -> Finding:
    domain = Asked("domain", "unseen", (DOMAIN,), (OWN, "oracle", "cascade-whisper", "other-clip"))
    requests = Asked("open", "clean", ("open",), (OWN, "oracle", "other-clip"), share=0.5)
    claims = []
    for asked, task, called in (
        (domain, "domain", "Domain of the request"),
        (requests, "open", _title("open")),
    ):
        for rival in ("other-clip", "oracle"):
            sides = Answers(asked, task), Answers(asked, task, (rival,))
            claims.append(Claimed(f"{called} − {rival}", *sides, counts=rival == "other-clip"))
    return Finding(
        "F6",
        "a task that no training held is done by its instruction alone, better than unheard",
        "tables 6 and 7",
        tuple(claims),
        reason="the LLM itself follows few instructions of its own accord at this size",
    )


def _joint() -> Finding:
    tasks = ("ic", "kwe", "er")
    free = {"choice_mode": "free"}
    asked = Asked("joint", "clean", (*tasks, *(f"asr+{task}" for task in tasks)), decoding=free)
    claims = (
        Claimed(f"{_title(task)} after its transcript − alone", Answers(asked, f"asr+{task}"),
                Answers(asked, task))
        for task in tasks
    )  # fmt: skip
    return Finding(
        "F7",
        "writing the transcript first helps intents, keywords and emotion a little",
        "table 9",
        tuple(claims),
        reason="the gain the paper tells is a point or two, which so few clips cannot show, and a"
        " transcript that is wrong misleads the answer after it",
    )


def _end_to_end(clean: Asked) -> Finding:
    spoken = (*SPOKEN, "kwe")
    cascades = tuple(filter(_is_cascade, clean.systems))
    # of the cascades on keywords one, whatever it answers: the paper's is tuned
    reader = "cascade-whisper-tuned" if "cascade-whisper-tuned" in cascades else "cascade-whisper"
    noisy = Asked("noisy", "noisy", (*spoken, "er"), (OWN, *cascades))
    people = Asked("people", "people", (*spoken, *VOICE), (OWN, *cascades))
    claims = []
    for asked, tasks in ((clean, people.tasks), (noisy, noisy.tasks), (people, people.tasks)):
        for task in tasks:
            own, name = Answers(asked, task), f"{asked.name}: {_title(task)}"
            if task == "kwe":
                cascade = Answers(asked, task, (reader,))
                claims.append(Claimed(f"{name}, the cascade − the model", cascade, own))
            else:
                claims.append(Claimed(name, own, Answers(asked, task, _called(cascades))))
    return Finding(
        "F8",
        "hearing at once beats the stronger cascade on intents, slots, translation, keyword search"
        " and what the voice says, and loses on keywords",
        "table 2",
        tuple(claims),
        reason="a cascade on a strong recogniser reads better words than the model hears",
    )


def _hints() -> Finding:
    asked = Asked("hints", "words", ("hints",), strata=("names",))

    def pair(variant: str, metric: str) -> tuple[Answers, Answers]:
        return Answers(asked, "hints", variant=variant, metric=metric), Answers(
            asked, "hints", variant=NO_HINTS, metric=metric
        )

    return Finding(
        "F9",
        "right hints repair rare names, and wrong ones do no harm",
        "table 6",
        (
            Claimed("names, right hints − none", *pair(RIGHT, "hinted_words")),
            Claimed("all words, wrong hints − none", *pair(WRONG, "hinted_wer"), margin=1.0),
        ),
        reason="hints are copied only as far as they were trained for",
    )


def _tuned_encoder() -> Finding:
    return Finding(
        "F10",
        "an encoder whose last two layers learn along helps some tasks",
        "section 5.4",
        _two_models(TUNED_ENCODER, FROZEN),
        needed=2,  # one of eleven comes out by chance in a quarter of all such trials
        full=True,
        reason="few clips move six million weights little, or spoil them",
    )
