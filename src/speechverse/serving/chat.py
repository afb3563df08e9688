"""`/v1/chat/completions`: from OpenAI's messages to a question of the pipeline, and back."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from secrets import token_hex
from typing import Any

from speechverse.audio import Waveform
from speechverse.clips import Clips
from speechverse.decoding import DecodingOptions, Question
from speechverse.decoding.answering import check_streamable
from speechverse.decoding.drawing import seeded
from speechverse.decoding.generation import Generator
from speechverse.pipeline import SpeechVerse
from speechverse.serving.costly import check_pattern, check_schema
from speechverse.serving.refusals import Refusal
from speechverse.serving.schema import (
    AudioPart,
    ChatRequest,
    ChoiceFormat,
    Format,
    RegexFormat,
    SchemaFormat,
    UserMessage,
)
from speechverse.serving.uploads import Samples
from speechverse.serving.works import Answering
from speechverse.tasks import Matches
from speechverse.types import AUDIO_SIGN, Answer, TokenLogProb, Turn

Decoded = Callable[..., AbstractContextManager[Samples]]
"""As `Decoders.decoded`."""


@dataclass(frozen=True)
class Asked:
    """A request that was read: its question, how it is answered, and what it costs.

    Attributes:
        prompt_tokens: LLM positions of the prompt, the sounds among them.
    """

    question: Question
    work: Answering
    prompt_tokens: int

    def with_listener(self, **how: Any) -> Question:
        """The question, with who is told its answer and who waits for it."""
        return replace(self.question, **how)


def read(loaded: SpeechVerse, decoded: Decoded, request: ChatRequest) -> Asked:
    """Decodes the sounds, and tries all else before anything waits for the model.

    Raises:
        Refusal: If the messages are none that this model can read.
        UserError: As `ask`.
    """
    clips, turns, instruction = _conversation(request.messages)
    longest = loaded.processor.max_audio_seconds
    sounds = []
    for clip in clips:
        with decoded(_bytes(clip), longest, whole=True) as samples:
            sounds.append(Waveform(samples.whole()))
    heard = loaded.hear(sounds[0] if len(sounds) == 1 else Clips(*sounds))
    constraint, options = loaded.how_to_answer(
        **_constraint(request.response_format), options=None, changes=_decoding(request)
    )
    question = loaded.question(heard, instruction, constraint, turns)
    if options.draws:  # by seeds of its own, whatever else is in its batch
        [question] = seeded([question], options.seed)
        options = options.changed(seed=None)
    if request.stream:
        check_streamable(options, [question])
    if isinstance(constraint, Matches):
        check_pattern(constraint.regex, loaded.processor)
    if constraint is not None:
        Generator(loaded.model, loaded.processor, options).automaton_of(constraint)
    work = Answering(loaded, options, bool(request.logprobs), type(constraint))
    prompt = loaded.processor.lengths(question.instruction, num_samples=heard.num_samples).prompt
    return Asked(question, work, prompt)


def _conversation(messages: Sequence[Any]) -> tuple[list[AudioPart], list[Turn], str]:
    """The sounds, the earlier turns, and what is asked now."""
    roles = [message.role for message in messages]
    if roles[::2] != ["user"] * len(roles[::2]) or "user" in roles[1::2] or roles[-1] != "user":
        raise Refusal(
            400, "messages take turns, user and assistant, and end with the user", param="messages"
        )
    clips, first = _opening(messages[0])
    rest = [_text(message, place) for place, message in enumerate(messages) if place]
    said = [first, *rest]
    turns = [Turn(asked, answer) for asked, answer in zip(said[:-1:2], said[1::2], strict=True)]
    return clips, turns, said[-1]


def _opening(message: UserMessage) -> tuple[list[AudioPart], str]:
    """The sounds of the first message, and its text; where there are several, each has its place
    in it.
    """
    parts = [] if isinstance(message.content, str) else message.content
    clips = [part for part in parts if isinstance(part, AudioPart)]
    if not clips:
        raise Refusal(
            400,
            "the first message has no input_audio part: this model answers about sounds",
            param="messages.0.content",
        )
    several = len(clips) > 1
    said = []
    for part in parts:
        if isinstance(part, AudioPart):
            said += [AUDIO_SIGN] * several
        elif several and AUDIO_SIGN in part.text:
            told = f"'{AUDIO_SIGN}' cannot stand in a text about several sounds, whose parts"
            raise Refusal(400, f"{told} already say where they are", param="messages.0.content")
        else:
            said.append(part.text)
    return clips, "\n".join(said)


def _text(message: Any, place: int) -> str:
    if isinstance(message.content, str):
        return message.content
    if any(isinstance(part, AudioPart) for part in message.content):
        raise Refusal(
            400,
            "sounds belong in the first message; begin a new conversation about others",
            param=f"messages.{place}.content",
        )
    return "\n".join(part.text for part in message.content)


def _bytes(part: AudioPart) -> bytes:
    try:
        return base64.b64decode(part.input_audio.data, validate=True)
    except (binascii.Error, ValueError) as error:
        message = f"input_audio.data is no base64: {error}"
        raise Refusal(400, message, param="messages.0.content", code="invalid_audio") from None


def _constraint(format: Format | None) -> dict[str, Any]:
    given: dict[str, Any] = dict.fromkeys(("choices", "regex", "json_schema"))
    if isinstance(format, ChoiceFormat):
        given["choices"] = format.choices
    elif isinstance(format, RegexFormat):
        given["regex"] = format.pattern
    elif isinstance(format, SchemaFormat):
        check_schema(format.json_schema.schema_)
        given["json_schema"] = format.json_schema.schema_
    return given


def _decoding(request: ChatRequest) -> dict[str, Any]:
    """Options of `ask`, without those that OpenAI's clients send and that change nothing."""
    most, again = request.max_completion_tokens, request.max_tokens
    if most and again and most != again:
        message = f"max_tokens {again} and max_completion_tokens {most}: give one of them"
        raise Refusal(400, message, param="max_tokens")
    if request.stream_options and not request.stream:
        raise Refusal(400, "stream_options want stream", param="stream_options")
    top_p = None if request.temperature == 0 and request.top_p == 1 else request.top_p
    given: dict[str, Any] = {
        "max_new_tokens": most or again,
        "temperature": request.temperature,
        "top_p": top_p,
        "stop": [request.stop] if isinstance(request.stop, str) else request.stop or None,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    if request.seed is not None and DecodingOptions(**changes).draws:
        changes["seed"] = request.seed  # what is greedy is the same again without one
    return changes


class Completion:
    """Answers to one request in OpenAI's shape, whole or in pieces."""

    def __init__(self, asked: Asked, name: str) -> None:
        self._asked = asked
        self._head = {"id": f"chatcmpl-{token_hex(12)}", "created": int(time.time()), "model": name}

    def whole(self, answer: Answer) -> dict[str, Any]:
        message = {"role": "assistant", "content": answer.text, "refusal": None}
        choice = {"index": 0, "message": message, **_ending(answer)}
        head = {**self._head, "object": "chat.completion"}
        return {**head, "choices": [choice], "usage": self.usage(answer)}

    def begin(self) -> dict[str, Any]:
        return self._chunk({"role": "assistant", "content": ""})

    def piece(self, text: str) -> dict[str, Any]:
        return self._chunk({"content": text})

    def end(self, answer: Answer) -> dict[str, Any]:
        """The last piece; log-probabilities, which are known only now, come with it."""
        return self._chunk({}, **_ending(answer))

    def cost(self, answer: Answer) -> dict[str, Any]:
        """Behind the last piece, where it is asked for."""
        head = {**self._head, "object": "chat.completion.chunk"}
        return {**head, "choices": [], "usage": self.usage(answer)}

    def usage(self, answer: Answer) -> dict[str, int]:
        prompt, made = self._asked.prompt_tokens, answer.num_tokens or 0
        return {"prompt_tokens": prompt, "completion_tokens": made, "total_tokens": prompt + made}

    def _chunk(self, delta: dict[str, Any], **ending: Any) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": None, "logprobs": None, **ending}
        return {**self._head, "object": "chat.completion.chunk", "choices": [choice]}


def _ending(answer: Answer) -> dict[str, Any]:
    """Why it ended, in OpenAI's words and (`ended`) in ours."""
    logprobs = answer.logprobs
    return {
        "finish_reason": "length" if answer.cut else "stop",
        "logprobs": None if logprobs is None else {"content": list(map(_token, logprobs))},
        "ended": answer.ended,
    }


def _token(token: TokenLogProb) -> dict[str, Any]:
    told = {"token": token.text, "logprob": token.log_prob, "bytes": list(token.text.encode())}
    return {**told, "top_logprobs": []}
