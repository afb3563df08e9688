"""Whether a server answers as an evaluation measured, letter by letter.

    speechverse evaluate MODEL --corpus my.jsonl --systems speechverse --output results
    python -m benchmarks.serving_same MODEL results

Every clip is sent again with its instruction, greedily, several at once; what came otherwise is
printed. Answers under a constraint, about a part of a file or about several clips are left out.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from benchmarks.serving import sent_chat
from benchmarks.serving_memory import running


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("results", type=Path)
    parser.add_argument("--clients", type=int, default=8)
    given = parser.parse_args()
    answers = map(json.loads, (given.results / "answers.jsonl").read_text("utf-8").splitlines())
    own = [answer for answer in answers if answer["system"] == "speechverse"]
    measured = [answer for answer in own if is_of_a_whole_file(answer)]
    with running(given.model) as (_, url), ThreadPoolExecutor(given.clients) as pool:
        served = pool.map(lambda answer: asked(url, given.results, answer), measured)
        unlike = [
            {"example": answer["example"], "measured": answer["answer"], "served": text}
            for answer, text in zip(measured, served, strict=True)
            if text != answer["answer"]
        ]
    for one in unlike:
        print(json.dumps(one, ensure_ascii=False))
    same, left_out = len(measured) - len(unlike), len(own) - len(measured)
    print(json.dumps({"answers": len(measured), "same": same, "left out": left_out}))


def is_of_a_whole_file(answer: dict[str, Any]) -> bool:
    """Whether it is free, and about all of one file."""
    clip = answer["clip"]
    part = clip.get("start") or clip.get("duration")
    return answer["ended"] != "constraint" and not part and not answer.get("beside")


def asked(url: str, results: Path, answer: dict[str, Any]) -> str:
    """What a server answers where an evaluation had this answer."""
    clip = results / answer["clip"]["path"]
    body = sent_chat(clip.read_bytes(), answer["instruction"])
    head = {"Content-Type": "application/json"}
    with urlopen(Request(f"{url}/v1/chat/completions", json.dumps(body).encode(), head)) as told:
        text: str = json.load(told)["choices"][0]["message"]["content"]
        return text


if __name__ == "__main__":
    main()
