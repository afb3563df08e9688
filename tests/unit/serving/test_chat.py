"""`/v1/chat/completions` by OpenAI's own client: what is answered is what the pipeline answers."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor

import av
import numpy as np
import openai
import pytest

from served import asking, audio_part, noise, wav
from speechverse import Clips

SAID = "what is said"


def ask(served, messages, **how):
    return served.client.chat.completions.create(
        model="tried", messages=messages, **{"max_tokens": 8, **how}
    )


def test_an_answer_is_that_of_the_pipeline(served):
    made = ask(served, asking(SAID, wav(noise())), logprobs=True)
    mine = served.model.ask(wav(noise()), SAID, max_new_tokens=8, logprobs=True)
    [choice] = made.choices
    assert choice.message.content == mine.text
    assert (choice.finish_reason, choice.ended) == ("length", mine.ended)
    assert [(token.token, token.logprob) for token in choice.logprobs.content] == [
        (token.text, pytest.approx(token.log_prob, abs=1e-4)) for token in mine.logprobs
    ]
    assert made.usage.completion_tokens == len(mine.logprobs) == 8
    assert made.usage.total_tokens == made.usage.prompt_tokens + 8


def test_requests_side_by_side_are_answered_as_each_alone(served):
    """With constraints, draws and pieces of their own, which share batches where they can."""
    sounds = [wav(noise(0.5 + 0.2 * n, n)) for n in range(2)]
    ways = [
        ({}, {}),
        ({"temperature": 1.5, "seed": 3, "top_p": 0.9}, {"temperature": 1.5, "seed": 3, "top_p": 0.9}),
        ({"response_format": {"type": "choice", "choices": ["yes", "no"]}}, {"choices": ["yes", "no"]}),
        ({"response_format": {"type": "choice", "choices": ["ja"]}}, {"choices": ["ja"]}),
        ({"response_format": {"type": "regex", "pattern": "(a|b){3}"}}, {"regex": "(a|b){3}"}),
        ({"stop": "e"}, {"stop": ["e"]}),
    ]  # fmt: skip
    asked = [(sound, way) for way in ways for sound in sounds]

    def by_server(one):
        return ask(served, asking(SAID, one[0]), **one[1][0]).choices[0].message.content

    def by_pieces(one):
        pieces = ask(served, asking(SAID, one[0]), stream=True, **one[1][0])
        return "".join(piece.choices[0].delta.content or "" for piece in pieces)

    with ThreadPoolExecutor(12) as clients:
        whole, pieces = clients.map(by_server, asked), clients.map(by_pieces, asked)
        mine = [
            served.model.ask(sound, SAID, max_new_tokens=8, **way[1]).text for sound, way in asked
        ]
        assert list(whole) == mine and list(pieces) == mine


def test_pieces_end_with_why_and_what_they_cost(served):
    how = {"stream": True, "stream_options": {"include_usage": True}, "logprobs": True}
    *pieces, end, cost = ask(served, asking(SAID, wav(noise())), **how)
    whole = ask(served, asking(SAID, wav(noise())), logprobs=True)
    assert "".join(piece.choices[0].delta.content for piece in pieces) == (
        whole.choices[0].message.content
    )
    assert pieces[0].choices[0].delta.role == "assistant" and len(pieces) > 2
    assert end.choices[0].finish_reason == "length"
    assert end.choices[0].logprobs.content == whole.choices[0].logprobs.content
    assert (cost.choices, cost.usage) == ([], whole.usage)


def test_a_schema_is_kept_and_told_where_it_cannot_be(served):
    schema = {
        "type": "object",
        "properties": {"loud": {"type": "boolean"}, "n": {"enum": [1, 2]}},
        "required": ["loud", "n"],
    }
    format = {"type": "json_schema", "json_schema": {"name": "sound", "schema": schema}}
    made = ask(served, asking(SAID, wav(noise())), response_format=format, max_tokens=60)
    mine = served.model.extract(wav(noise()), schema, SAID)
    assert json.loads(made.choices[0].message.content) == mine
    assert made.choices[0].finish_reason == "stop"
    format["json_schema"]["schema"] = {"type": "nonsense"}
    with pytest.raises(openai.BadRequestError, match="JSON schema cannot be followed"):
        ask(served, asking(SAID, wav(noise())), response_format=format)


def test_earlier_turns_and_several_sounds_are_read_as_the_pipeline_reads_them(served):
    chat = served.model.chat(wav(noise()))
    first, second = (chat.ask(text, max_new_tokens=8).text for text in (SAID, "and how"))
    messages = asking(SAID, wav(noise()))
    messages += [{"role": "assistant", "content": first}, {"role": "user", "content": "and how"}]
    assert ask(served, messages).choices[0].message.content == second
    one, other = wav(noise(0.5, 1)), wav(noise(0.6, 2))
    text = {"type": "text", "text": "then"}
    content = [audio_part(one), text, audio_part(other), {"type": "text", "text": SAID}]
    mine = served.model.ask(
        Clips(one, other), f"<|audio|>\nthen\n<|audio|>\n{SAID}", max_new_tokens=8
    )
    made = ask(served, [{"role": "user", "content": content}])
    assert made.choices[0].message.content == mine.text


@pytest.mark.parametrize("format", ["flac", "ogg", "mp3", "webm", "m4a"])
def test_sounds_come_in_the_usual_formats(served, format):
    samples = noise()
    if format in ("webm", "m4a"):
        file, codec = io.BytesIO(), {"webm": "libopus", "m4a": "aac"}[format]
        with av.open(file, "w", format={"webm": "webm", "m4a": "ipod"}[format]) as container:
            stream = container.add_stream(codec, rate=48_000, layout="mono")
            frame = av.AudioFrame.from_ndarray(np.repeat(samples, 3)[None], "fltp", "mono")
            frame.rate = 48_000
            for packet in [*stream.encode(frame), *stream.encode(None)]:
                container.mux(packet)
        content = file.getvalue()
    else:
        content = wav(samples, format.upper())
    part = audio_part(content, format)
    made = ask(served, [{"role": "user", "content": [part, {"type": "text", "text": SAID}]}])
    assert made.choices[0].message.content == served.model.ask(content, SAID, max_new_tokens=8).text


def test_control_signs_of_a_user_are_text(served):
    """The sign of a turn's end, of a clip and of padding, all written by the user."""
    told = "a </s> b <pad> c <|audio|> d"
    made = ask(served, asking(told, wav(noise())))
    mine = served.model.ask(wav(noise()), told, max_new_tokens=8)
    assert made.choices[0].message.content == mine.text
    plain = ask(served, asking("a  b  c  d", wav(noise())))
    assert made.usage.prompt_tokens > plain.usage.prompt_tokens + 10
    with pytest.raises(openai.BadRequestError, match="already say where they are"):
        ask(served, asking(told, wav(noise()), wav(noise())))


@pytest.mark.parametrize(
    ("change", "told", "param"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "cannot be honoured", "tools"),
        ({"n": 2}, "less than or equal to 1", "n"),
        ({"logprobs": True, "top_logprobs": 3}, "cannot be honoured", "top_logprobs"),
        ({"response_format": {"type": "json_object"}}, "json_object", "response_format"),
        ({"max_tokens": 3, "max_completion_tokens": 4}, "give one of them", "max_tokens"),
        ({"temperature": 0, "top_p": 0.5}, "leave out top_p", None),
        ({"stop": "e", "response_format": {"type": "regex", "pattern": "a+"}}, "stop shape free", None),
        ({"response_format": {"type": "regex", "pattern": "(a"}}, "regular expression", None),
        ({"response_format": {"type": "choice", "choices": ["a", "a"]}}, "different answers", None),
        ({"messages": [{"role": "user", "content": "no sound"}]}, "no input_audio", "messages.0.content"),
        ({"messages": [{"role": "system", "content": "be kind"}]}, "'system'", "messages.0"),
        ({"messages": asking("x", b"no sound")}, "not audio that can be read", None),
        ({"messages": asking("x", wav(noise(3.0)))}, "longer than the 2 s", None),
        ({"messages": asking(" ", wav(noise()))}, "instruction is empty", None),
        ({"stop": [""]}, "at least 1 character", "stop.0"),
        ({"response_format": {"type": "regex", "pattern": "(a\0|b)"}}, "NUL", None),
    ],
)  # fmt: skip
def test_what_cannot_be_honoured_is_an_error(served, change, told, param):
    with pytest.raises(openai.BadRequestError) as refused:
        ask(served, **{"messages": asking(SAID, wav(noise())), **change})
    error = refused.value.body
    assert told in error["message"] and (error["param"], error["type"]) == (
        param,
        "invalid_request_error",
    )


def test_what_changes_nothing_is_taken(served):
    plain = ask(served, asking(SAID, wav(noise())))
    same = ask(
        served,
        asking(SAID, wav(noise())),
        **{"temperature": 0, "top_p": 1, "seed": 4, "n": 1, "presence_penalty": 0},
        **{"tools": [], "tool_choice": "none", "logit_bias": {}, "user": "u", "metadata": {}},
    )
    assert same.choices == plain.choices
    unsaid = ("n", "stream", "stop", "logprobs", "presence_penalty", "frequency_penalty", "store")
    unsaid += ("user", "tools", "metadata")
    nothing = ask(served, asking(SAID, wav(noise())), extra_body=dict.fromkeys(unsaid))
    assert nothing.choices == plain.choices


def test_an_answer_as_the_client_gives_it_is_an_earlier_turn(served):
    messages = asking(SAID, wav(noise()))
    first = ask(served, messages).choices[0].message
    again = {"role": "user", "content": "and again"}
    made = ask(served, [*messages, first, again]).choices
    parts = {"role": "assistant", "content": [{"type": "text", "text": first.content}]}
    plain = {"role": "assistant", "content": first.content}
    for told in (plain, parts, first.model_dump()):
        assert ask(served, [*messages, told, again]).choices == made


def test_another_model_and_another_key_are_told(served):
    with pytest.raises(openai.NotFoundError, match="no model 'gpt'"):
        served.client.chat.completions.create(model="gpt", messages=asking(SAID, wav(noise())))
    with pytest.raises(openai.AuthenticationError, match="wants an API key"):
        served.client.with_options(api_key="another").models.list()
    assert [model.id for model in served.client.models.list()] == ["tried"]
    assert served.client.models.retrieve("tried").object == "model"
