"""Many clients of one server: batches that waiting requests join against one request at a time,
behind the same HTTP.
"""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import mean, quantiles
from typing import Any
from urllib.request import Request, urlopen

from benchmarks.harness import Claim, Repeat, Side, Took, lacks_parts

SECONDS = 3.0  # of a clip
EACH = 2  # requests of each client in a repetition
_INSTRUCTIONS = ("Transcribe the preceding audio.", "Summarise what is said.", "Who speaks?")


def _served(max_batch: int, clients: int, limits: tuple[int, ...], folder: Path) -> Repeat:
    """Clients who ask one thing after the other, each a stream.

    Args:
        limits: The most tokens of answers, one after the other.
    """
    from benchmarks import material
    from speechverse import SpeechVerse
    from speechverse.serving.app import create_app
    from speechverse.serving.running import server_of
    from speechverse.serving.settings import ServerSettings

    settings = ServerSettings(name=material.MODEL, max_batch=max_batch, max_requests=clients)
    server = server_of(create_app(SpeechVerse(*material.model()), settings), "127.0.0.1", 0)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    threading.Thread(target=server.run, args=([listening],), daemon=True).start()
    while not server.started:
        time.sleep(0.01)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1/chat/completions"
    sound = material.clip(folder, SECONDS).read_bytes()

    def ask(number: int) -> tuple[float, float, str]:
        most = limits[number % len(limits)]
        body = sent_chat(sound, _INSTRUCTIONS[number % len(_INSTRUCTIONS)], most)
        return _asked(url, json.dumps({**body, "stream": True}).encode())

    def repeat() -> Took:
        began = time.perf_counter()
        with ThreadPoolExecutor(clients) as pool:
            told = list(pool.map(ask, range(clients * EACH)))
        seconds = time.perf_counter() - began
        first, whole = ([one[place] for one in told] for place in (0, 1))
        return Took(seconds, len(told), _latencies(first, whole), tuple(one[2] for one in told))

    return repeat


def sent_chat(sound: bytes, instruction: str, most: int | None = None) -> dict[str, Any]:
    """A question about a sound, as OpenAI's conventions have it sent."""
    data = base64.b64encode(sound).decode()
    clip = {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
    content = [clip, {"type": "text", "text": instruction}]
    messages = [{"role": "user", "content": content}]
    limit = {} if most is None else {"max_tokens": most}
    return {"model": "small", "messages": messages, **limit}


def _asked(url: str, body: bytes) -> tuple[float, float, str]:
    """Seconds to the first piece and to the end, and the text."""
    began, first, text = time.perf_counter(), 0.0, ""
    with urlopen(Request(url, body, {"Content-Type": "application/json"})) as answer:
        for line in answer:
            if line.startswith(b"data: {"):
                [choice] = json.loads(line[6:])["choices"]
                text += choice["delta"].get("content", "")
                first = first or (time.perf_counter() - began if text else 0.0)
    return first, time.perf_counter() - began, text


def _latencies(first: list[float], whole: list[float]) -> dict[str, Any]:
    cuts = quantiles(whole, n=100, method="inclusive")
    named = {f"p{place} s": cuts[place - 1] for place in (50, 95, 99)}
    return {**named, "p99 / mean": cuts[98] / mean(whole), "first piece s": mean(first)}


def _claim(title: str, clients: int, limits: tuple[int, ...]) -> Claim:
    def side(max_batch: int) -> Callable[[Path], Repeat]:
        return partial(_served, max_batch, clients, limits)

    return Claim(
        f"{clients} clients, {title}",
        Side("requests join the next batch", side(32)),
        Side("one request at a time, the same HTTP", side(1)),
        "requests/s",
        repetitions=3,
        lacks=lacks_parts,
    )


CLAIMS = (
    _claim("answers of up to 40 tokens", 1, (40,)),
    _claim("answers of up to 40 tokens", 8, (40,)),
    _claim("answers of up to 40 tokens", 32, (40,)),
    _claim("answers of up to 8, 24 and 60 tokens", 32, (8, 24, 60)),
)
