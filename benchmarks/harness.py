"""Duels: two ways to do the same work, each in a process of its own, turn and turn about on the
same machine.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Took:
    """One repetition: wall time, work done in it, facts to show, outputs to compare with the other
    side's.

    `peak_mb` is peak memory where it is not that of the side's own process.
    """

    seconds: float
    amount: float = 1.0
    facts: dict[str, Any] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    peak_mb: float | None = None


Repeat = Callable[[], Took]


@dataclass(frozen=True)
class Side:
    """One way to do it: `prepare` runs once in a fresh process, unmeasured, and gives what is
    repeated.
    """

    label: str
    prepare: Callable[[Path], Repeat]


@dataclass(frozen=True)
class Claim:
    """What is compared. A unit of "s" is time for one piece of work; any other is work in a second.

    `lacks` says why this machine cannot measure it, or None.
    """

    title: str
    ours: Side
    theirs: Side
    unit: str
    repetitions: int = 5
    lacks: Callable[[], str | None] = lambda: None


def lacks_parts() -> str | None:
    """For claims about real parts: what to give first where those of `small` are not on this
    machine.
    """
    from speechverse.pretrained import KNOWN, is_here

    missing = [
        name for name in ("whisper-base", "smollm2-135m-instruct") if not is_here(KNOWN[name])
    ]
    return (
        f"its parts are not here: speechverse pretrained get {' '.join(missing)}"
        if missing
        else None
    )


_prepared: list[Repeat] = []  # in a side's process


def _prepare(side: Side, folder: Path) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    _prepared.append(side.prepare(folder))


def _repeat() -> Took:
    return _prepared[0]()


def peak_mb(status: str | None = None) -> float | None:
    """Peak resident memory in MB, from a `/proc/self/status` (this process's by default); None
    where there is none.

    `ru_maxrss` will not do: in a spawned process it begins at its parent's.
    """
    if status is None:
        path = Path("/proc/self/status")
        status = path.read_text() if path.exists() else ""
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else None


_TELL = (
    "import atexit, sys; atexit.register(lambda:"
    " sys.stderr.write(open('/proc/self/status').read()))\n"
)


def fresh_python(code: str) -> Repeat:
    """A Python that runs `code` and ends, starting the interpreter included; what it prints is its
    output.
    """
    command = [sys.executable, "-c", _TELL + code]

    def repeat() -> Took:
        began, before = time.perf_counter(), os.times()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds, after = time.perf_counter() - began, os.times()
        processor = (
            after.children_user
            + after.children_system
            - before.children_user
            - before.children_system
        )
        outputs = (done.stdout,) if done.stdout else ()
        return Took(seconds, 1.0, {"CPU s": processor}, outputs, peak_mb(done.stderr))

    return repeat


def duel(claim: Claim, folder: Path) -> dict[str, Any]:
    """Runs both sides, ours first in every other round, after one round that is not counted.

    Args:
        claim: What to compare.
        folder: Of this run, for material that claims share.

    Returns:
        Ready for JSON; `ratio` is our speed over theirs, round by round: median, min, max. `beyond`
        is our time less theirs in the same way, in seconds for one piece of work.
    """
    sides, spawn = (claim.ours, claim.theirs), get_context("spawn")
    with ProcessPoolExecutor(1, spawn) as ours, ProcessPoolExecutor(1, spawn) as theirs:
        pools, took = (ours, theirs), ([], [])
        for pool, side in zip(pools, sides, strict=True):
            pool.submit(_prepare, side, folder).result()
        for number in range(claim.repetitions + 1):
            for which in (0, 1) if number % 2 else (1, 0):
                took[which].append(pools[which].submit(_repeat).result())
        peaks = [pool.submit(peak_mb).result() for pool in pools]
    told = [
        _told(*row) for row in zip(sides, [samples[1:] for samples in took], peaks, strict=True)
    ]
    ratios = [a / b for a, b in zip(told[0]["speeds"], told[1]["speeds"], strict=True)]
    beyond = [1 / a - 1 / b for a, b in zip(told[0]["speeds"], told[1]["speeds"], strict=True)]
    answers = [samples[-1].outputs for samples in took]
    same = [a == b for a, b in zip(*answers, strict=True)] if all(answers) else []
    return {
        "title": claim.title,
        "unit": claim.unit,
        "sides": told,
        "ratio": _spread(ratios),
        "beyond": _spread(beyond),
        "same_outputs": sum(same) / len(same) if same else None,
    }


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": median(values), "min": min(values), "max": max(values)}


def _told(side: Side, samples: list[Took], peak: float | None) -> dict[str, Any]:
    speeds = [took.amount / took.seconds for took in samples]
    return {
        "label": side.label,
        "speeds": speeds,
        "peak_mb": samples[-1].peak_mb or peak,
        "facts": samples[-1].facts,
    }


def shown(result: dict[str, Any]) -> str:
    """A result for people."""
    lines, ratio = [result["title"]], result["ratio"]
    for side in result["sides"]:
        speed = median(side["speeds"])
        value = f"{1 / speed:.3f} s" if result["unit"] == "s" else f"{speed:.4g} {result['unit']}"
        memory = f"{side['peak_mb']:,.0f} MB" if side["peak_mb"] else "memory unknown"
        facts = "".join(f", {name} {_short(fact)}" for name, fact in side["facts"].items())
        lines.append(f"  {side['label']:<48} {value:>16}  {memory}{facts}")
    rounds, same = len(result["sides"][0]["speeds"]), result["same_outputs"]
    agreement = "" if same is None else f"; same answers {same:.0%}"
    if result["unit"] == "s":
        beyond = result["beyond"]
        agreement += (
            f"; beyond it {beyond['median']:.3f} s ({beyond['min']:.3f} to {beyond['max']:.3f})"
        )
    computed = [side["facts"].get("positions") for side in result["sides"]]
    if all(computed):
        agreement += f"; the roof by positions computed {computed[1] / computed[0]:.2f}"
    lines.append(
        f"  ratio {ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f}, {rounds}"
        f" rounds){agreement}"
    )
    return "\n".join(lines)


def _short(fact: Any) -> str:
    return f"{fact:.3g}" if isinstance(fact, float) else str(fact)


def num_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> str:
    """The machine in one line."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", info.read_text()) if info.exists() else None
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("torch", "transformers")
    )
    threads = os.environ.get("OMP_NUM_THREADS", "unset")
    return (
        f"{found[1] if found else platform.machine()}, {num_cores()} cores, {memory:.0f} GiB,"
        f" {platform.system()}, Python {platform.python_version()}, {versions}, OMP_NUM_THREADS"
        f" {threads}, niceness {os.nice(0)}, load {os.getloadavg()[0]:.1f} before the run"
    )
