"""A real server on a local port, OpenAI's client of it, and sounds to send."""

from __future__ import annotations

import base64
import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import openai
import soundfile
import uvicorn
from fastapi import FastAPI

from speechverse import SpeechVerse
from speechverse.serving.app import create_app
from speechverse.serving.running import server_of
from speechverse.serving.settings import ServerSettings

KEY = "a-key-for-the-tests"


@dataclass
class Served:
    """A running server, the model in it, and OpenAI's client of it."""

    model: SpeechVerse
    url: str
    client: openai.OpenAI
    server: uvicorn.Server


@contextmanager
def serving(
    model: SpeechVerse, around: Callable[[FastAPI], FastAPI] = lambda app: app, **settings: object
) -> Iterator[Served]:
    app = create_app(model, ServerSettings(name="tried", keys=(KEY,), **settings))
    server = server_of(around(app), "127.0.0.1", 0)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        client = openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)
        try:
            with client:
                yield Served(model, url, client, server)
        finally:
            server.should_exit = True
            thread.join()


def noise(seconds: float = 0.8, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return (draw.standard_normal(int(16_000 * seconds)) * 0.1).astype(np.float32)


def wav(samples: np.ndarray, format: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, format=format)
    return file.getvalue()


def audio_part(content: bytes, format: str = "wav") -> dict:
    data = base64.b64encode(content).decode()
    return {"type": "input_audio", "input_audio": {"data": data, "format": format}}


def asking(text: str, *contents: bytes) -> list[dict]:
    parts = [*map(audio_part, contents), {"type": "text", "text": text}]
    return [{"role": "user", "content": parts}]
