"""Any endpoint that speaks OpenAI's chat completions and takes `input_audio`, as a system.

Where it is and whether it wants a key is said as for OpenAI's own client: `OPENAI_BASE_URL` and
`OPENAI_API_KEY`.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import soundfile

from speechverse import audio
from speechverse.errors import UserError, needs_extra
from speechverse.evaluation.parts import ONE_CLIP, OfFamily, Parts, asks_about_several
from speechverse.pretrained import offline
from speechverse.progress import Advance, ignore
from speechverse.types import SAMPLING_RATE, TOKENS_A_SECOND, TOKENS_BESIDE, Answer, Example

URL, KEY = "OPENAI_BASE_URL", "OPENAI_API_KEY"
_RETRIED = (408, 409, 429, 500, 502, 503, 504)
_NUM_RETRIES, _BACKOFF_SECONDS, _TIMEOUT_SECONDS = 5, 0.5, 120
_AT_ONCE = 4
_FOR_ALL = (401, 403, 404)
"""What would be answered to any clip: a wrong key, address or model."""


class Endpoint(OfFamily):
    """A model behind an endpoint: it gets the same instruction and the clip, answers freely, and
    its answers go through the same parsers. Its name is `endpoint:MODEL`.
    """

    family: ClassVar[str] = "endpoint"
    title: ClassVar[str] = "a model behind an endpoint, which hears the audio and answers freely"
    name: ClassVar[str]
    hears: ClassVar[bool] = False  # it needs nothing of the encoder's
    at_once: ClassVar[int] = _AT_ONCE  # answers are paid for: few are lost where one fails

    def __init__(self, parts: Parts) -> None:
        """Refuses what cannot work before anything is asked.

        Raises:
            UserError: If the network is forbidden, or no address is known.
            MissingExtraError: If urllib3 is not installed.
        """
        if offline():
            raise UserError(f"{self.name} needs the network, which --offline forbids; leave it out")
        self.url = os.environ.get(URL, "").rstrip("/")
        if not self.url:
            raise UserError(
                f"{self.name}: set {URL} to the endpoint's address, such as http://host:8000/v1,"
                f" and {KEY} if it wants a key"
            )
        self.parts, self._pool = parts, _pool()

    @classmethod
    def of(cls, which: str) -> type[Endpoint]:
        made = super().of(which)
        made.name = f"{cls.family}:{which}"  # its model's name, slashes and all
        return made

    @property
    def stands_on(self) -> str:
        """Where it was asked; what answers there may change, and nobody here can tell."""
        return f"{self.url} {self.which}"

    def missing(self, examples: Sequence[Example]) -> str | None:
        return ONE_CLIP if asks_about_several(examples) else None

    def cost(self, examples: Sequence[Example]) -> str:
        """What answering will cost, in words."""
        seconds = sum(example.utterance.duration for example in examples)
        return f"{len(examples):,} requests with {seconds:,.0f} s of audio to {self.url}"

    def answer(self, examples: Sequence[Example], progress: Advance = ignore) -> list[Answer]:
        """Asks a few at once; what was refused for the moment is asked again, later and later. A
        clip that is refused for good (a filter, a limit of theirs) is an answer with an error.

        Raises:
            UserError: If it does not answer after that, or would refuse any clip.
        """
        made = []
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for answer in pool.map(self._ask, examples):
                made.append(answer)
                progress(1)
        return made

    def _ask(self, example: Example) -> Answer:
        import urllib3

        key = os.environ.get(KEY)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            reply = self._pool.request(
                *("POST", f"{self.url}/chat/completions"),
                json=self._request(example),
                headers={"Content-Type": "application/json", **headers},
            )
        except urllib3.exceptions.HTTPError as error:
            raise UserError(f"{self.name}: {self.url} does not answer: {error}") from error
        if reply.status != 200:
            told = reply.data.decode("utf-8", "replace")[:300]
            if 400 <= reply.status < 500 and reply.status not in (*_FOR_ALL, *_RETRIED):
                return Answer("", error=f"refused with status {reply.status}: {told}")
            advice = f"; check {KEY}" if reply.status in (401, 403) else ""
            raise UserError(
                f"{self.name}: {self.url} answered with status {reply.status}: {told}{advice}"
            )
        try:
            choice = reply.json()["choices"][0]
            text = (choice["message"]["content"] or "").strip()
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise UserError(
                f"{self.name}: {self.url} answered with something else than a chat completion"
            ) from error
        return Answer(text, ended="length" if choice.get("finish_reason") == "length" else "end")

    def _request(self, example: Example) -> dict[str, Any]:
        clip, options = audio.load(example.utterance.audio), self.parts.options
        file = io.BytesIO()
        soundfile.write(file, clip.samples, SAMPLING_RATE, format="WAV", subtype="PCM_16")
        sound = {"data": base64.b64encode(file.getvalue()).decode(), "format": "wav"}
        content = [
            {"type": "input_audio", "input_audio": sound},
            {"type": "text", "text": example.instruction},
        ]
        limit = options.max_new_tokens or TOKENS_BESIDE + round(TOKENS_A_SECOND * clip.duration)
        return {
            "model": self.which,
            "messages": [{"role": "user", "content": content}],
            "max_tokens": limit,
            "temperature": options.temperature or 0,
        }


def _pool() -> Any:
    with needs_extra("asking an endpoint", "eval"):
        import urllib3
    retries = urllib3.Retry(
        _NUM_RETRIES,
        backoff_factor=_BACKOFF_SECONDS,
        status_forcelist=_RETRIED,
        allowed_methods=None,
        raise_on_status=False,
    )
    return urllib3.PoolManager(retries=retries, timeout=_TIMEOUT_SECONDS, maxsize=_AT_ONCE)
