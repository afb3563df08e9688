"""What a server holds on to: its memory along many requests of all kinds, some of them bad.

    python -m benchmarks.serving_memory MODEL --requests 2000

Each line tells of the requests so far: MiB of the server and of the processes that decode for it,
and how many were answered as they should be.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPException
from io import BytesIO
from pathlib import Path
from resource import getpagesize
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import soundfile

from benchmarks.serving import sent_chat

BAD = 0.05
"""Share of requests that cannot be answered."""
_FORMATS: tuple[dict[str, Any], ...] = (
    {},
    {"stream": True},
    {"temperature": 1.0},
    {"response_format": {"type": "choice", "choices": ["yes", "no"]}},
    {"response_format": {"type": "regex", "pattern": "[a-z]{1,5}"}},
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--every", type=int, default=100, help="requests between two looks")
    given = parser.parse_args()
    with running(given.model) as (server, url):
        for told in along(server, url, given):
            print(json.dumps(told), flush=True)


@contextmanager
def running(model: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A server that is ready, and where it is."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "speechverse", "serve", model, "--name", "small"]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen([*command, "--port", str(port)], **quiet)
    try:
        url = f"http://127.0.0.1:{port}"
        while not _is_ready(url):
            assert server.poll() is None, "the server does not start"
            time.sleep(0.5)
        yield server, url
    finally:
        server.terminate()
        server.wait()


def _is_ready(url: str) -> bool:
    try:
        urlopen(f"{url}/health/ready")
    except OSError:
        return False
    return True


def along(
    server: subprocess.Popen[bytes], url: str, given: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    came: Counter[str] = Counter()
    with ThreadPoolExecutor(given.clients) as pool:
        for first in range(0, given.requests, given.every):
            numbers = range(first, first + given.every)
            came.update(pool.map(lambda number: asked(url, number), numbers))
            yield {"requests": first + given.every, **memory(server.pid), **came}


def asked(url: str, number: int) -> str:
    """`answered` or `refused` where it should be, or else what came."""
    draw = random.Random(number)
    bad = draw.random() < BAD
    try:
        with urlopen(_request(url, draw, bad)) as answer:
            ended = answer.read().rstrip()
            return "taken though bad" if bad else "answered" if ended else "empty"
    except HTTPError as error:
        return "refused" if bad and error.code in (400, 404) else f"status {error.code}"
    except (OSError, HTTPException) as error:
        return f"lost: {type(error).__name__}"


def _request(url: str, draw: random.Random, bad: bool) -> Request:
    sound = _sound(draw)
    fault = draw.choice(("sound", "field", "model")) if bad else None
    if fault == "sound":
        sound = sound[:20] + draw.randbytes(200)
    asked: dict[str, Any] = {"model": "none" if fault == "model" else "small"}
    if draw.random() < 0.3:
        asked |= {"unknown": "1"} if fault == "field" else {}
        return _form(f"{url}/v1/audio/transcriptions", {**asked, "decoder": "llm"}, sound)
    asked |= {"unknown": 1} if fault == "field" else {}
    body = sent_chat(sound, "What is said?", 16) | draw.choice(_FORMATS) | asked
    place = f"{url}/v1/chat/completions"
    return Request(place, json.dumps(body).encode(), {"Content-Type": "application/json"})


def _sound(draw: random.Random) -> bytes:
    """Noise of .2 to 1.9 s, in one of three formats."""
    noise = np.random.default_rng(draw.randrange(2**32)).standard_normal(
        draw.randrange(3_200, 30_400)
    )
    file = BytesIO()
    soundfile.write(file, noise * 0.1, 16_000, format=draw.choice(("WAV", "FLAC", "OGG")))
    return file.getvalue()


def _form(url: str, fields: dict[str, str], sound: bytes) -> Request:
    line = "--a-line-of-its-own"
    parts = [
        f'{line}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    head = f'{line}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    body = "".join(parts).encode() + head.encode() + sound + f"\r\n{line}--\r\n".encode()
    return Request(url, body, {"Content-Type": f"multipart/form-data; boundary={line[2:]}"})


def memory(pid: int) -> dict[str, float]:
    """MiB that are resident of a process, and of its children together."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for task in Path(f"/proc/{pid}/task").iterdir():
        if task.name != str(pid):
            children += (task / "children").read_text().split()
    return {"server": _resident(pid), "decoders": round(sum(map(_resident, children)), 1)}


def _resident(pid: int | str) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return round(pages * getpagesize() / 2**20, 1)


if __name__ == "__main__":
    main()
