"""`python -m benchmarks.run [NAME ...] [--json FILE]`: measures the claims, as ratios against named
alternatives.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.harness import duel, machine, num_cores, shown

NAMES = (
    "startup",
    "training",
    "speech",
    "decoding",
    "constraints",
    "answering",
    "pretraining",
    "encoding",
    "serving",
)


def main() -> None:
    """Runs the benchmarks asked for, each in a folder of its own that is gone afterwards."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"one of {', '.join(NAMES)}; by default all"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="where to write every single measurement"
    )
    parser.add_argument(
        "--quick", action="store_true", help="one round of each, to see that it runs"
    )
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.names if name not in NAMES]:
        parser.error(f"there is no benchmark '{unknown[0]}'; there are {', '.join(NAMES)}")
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", CUDA_VISIBLE_DEVICES="")
    line, busy = machine(), os.getloadavg()[0] > 0.5 * num_cores()
    print(
        line + ("\nthe machine is busy with other work: the ratios are rough" if busy else ""),
        flush=True,
    )
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
    measured = dict[str, list[dict]]()
    for name in arguments.names or NAMES:
        measured[name] = _measured(name, arguments.quick)
        if arguments.json:  # after each: hours are not lost with the last
            _write(arguments.json, {"machine": line, "busy": busy}, measured)


def _write(place: Path, about: dict[str, Any], measured: dict[str, list[dict]]) -> None:
    from speechverse.training.recipe_files import environment

    told = {**about, "environment": environment(), "benchmarks": measured}
    aside = place.with_name(f".{place.name}.part")
    aside.write_text(json.dumps(told, indent=1) + "\n")
    os.replace(aside, place)


def _measured(name: str, quick: bool) -> list[dict]:
    began, results = time.perf_counter(), []
    print(f"\n== {name}", flush=True)
    with tempfile.TemporaryDirectory(prefix="speechverse-bench-") as folder:
        for claim in import_module(f"benchmarks.{name}").CLAIMS:
            if reason := claim.lacks():
                print(f"{claim.title}\n  left out: {reason}", flush=True)
                continue
            rounds = 1 if quick else claim.repetitions
            results.append(duel(replace(claim, repetitions=rounds), Path(folder)))
            print(shown(results[-1]), flush=True)
    print(f"({time.perf_counter() - began:.0f} s)", flush=True)
    return results


if __name__ == "__main__":
    main()
