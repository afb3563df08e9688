"""What requests may say, in OpenAI's words; a field that is not here cannot be honoured and is an
error.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_MESSAGES = 64
MAX_PARTS = 32
MAX_TOKENS = 2**16


Text = Annotated[str, Field(min_length=1)]


class _Body(BaseModel):
    """Of JSON: values are taken as they stand."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, fields: Any) -> Any:
        """OpenAI's client writes every field it knows of what it was answered, most as null."""
        if not isinstance(fields, dict):
            return fields
        return {name: given for name, given in fields.items() if given is not None}


class InputAudio(_Body):
    data: str = Field(description="The file's bytes in base64.", min_length=1)
    format: Literal["wav", "mp3", "flac", "ogg", "opus", "webm", "m4a", "aac", "mp4"] = Field(
        description="What the file is; how it is read is told from its content."
    )


class AudioPart(_Body):
    type: Literal["input_audio"]
    input_audio: InputAudio


class TextPart(_Body):
    type: Literal["text"]
    text: str


Part = Annotated[AudioPart | TextPart, Field(discriminator="type")]


class UserMessage(_Body):
    role: Literal["user"]
    content: str | Annotated[list[Part], Field(min_length=1, max_length=MAX_PARTS)]


class AssistantMessage(_Body):
    """An earlier answer, also as OpenAI's client gives it back."""

    role: Literal["assistant"]
    content: str | Annotated[list[TextPart], Field(min_length=1, max_length=MAX_PARTS)]
    refusal: None = None


Message = Annotated[UserMessage | AssistantMessage, Field(discriminator="role")]


class TextFormat(_Body):
    type: Literal["text"]


class NamedSchema(_Body):
    name: str
    description: str | None = None
    schema_: dict[str, Any] = Field(alias="schema")
    strict: bool | None = Field(None, description="It always is.")


class SchemaFormat(_Body):
    type: Literal["json_schema"]
    json_schema: NamedSchema


class ChoiceFormat(_Body):
    """An extension: the answer is one of a list."""

    type: Literal["choice"]
    choices: list[str] = Field(min_length=1, max_length=1000)


class RegexFormat(_Body):
    """An extension: the whole answer matches a regular expression."""

    type: Literal["regex"]
    pattern: str = Field(min_length=1, max_length=2000)


Format = Annotated[
    TextFormat | SchemaFormat | ChoiceFormat | RegexFormat, Field(discriminator="type")
]


class StreamOptions(_Body):
    include_usage: bool | None = None


class ChatRequest(_Body):
    """A question about sounds, behind earlier turns. What is not said, or null, is as for `ask`:
    greedy.
    """

    model: Text
    messages: list[Message] = Field(min_length=1, max_length=MAX_MESSAGES)
    max_completion_tokens: Annotated[int, Field(gt=0, le=MAX_TOKENS)] | None = None
    max_tokens: Annotated[int, Field(gt=0, le=MAX_TOKENS)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: Text | Annotated[list[Text], Field(max_length=4)] | None = None
    logprobs: bool | None = None
    response_format: Format | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=1)] | None = None
    modalities: list[Literal["text"]] | None = None
    frequency_penalty: Annotated[float, Field(ge=0, le=0)] | None = None
    presence_penalty: Annotated[float, Field(ge=0, le=0)] | None = None
    store: Literal[False] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=0)] | None = None
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = None
    tools: Annotated[list[dict[str, Any]], Field(max_length=0)] | None = None
    tool_choice: Literal["none", "auto"] | None = None
    parallel_tool_calls: bool | None = None
    service_tier: Literal["auto", "default"] | None = None
    user: str | None = Field(None, description="Not kept, as are the next two.")
    safety_identifier: str | None = None
    metadata: dict[str, str] | None = None


class _Form(BaseModel):
    """Of multipart forms, in which everything is text; `null` stands for what is not said, as in
    JSON.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    file: UploadFile
    model: Text
    response_format: Literal["json", "text", "srt", "vtt", "verbose_json"] = "json"
    temperature: float = Field(0.0, ge=0, le=0, description="It is written greedily.")
    stream: bool = False

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, fields: dict[str, Any]) -> dict[str, Any]:
        return {name: given for name, given in fields.items() if given not in ("null", ["null"])}


class TranscriptionForm(_Form):
    """What is said in a recording of any length."""

    language: str | None = Field(None, description="What is spoken, for the encoder's own decoder.")
    prompt: str | None = Field(
        None, description="Words that may be heard, with commas between, for the LLM."
    )
    decoder: Literal["own", "llm"] | None = Field(
        None, description="An extension: who writes, the encoder's own decoder or the LLM."
    )
    timestamp_granularities: list[Literal["segment"]] | None = Field(
        None, alias="timestamp_granularities[]"
    )


class TranslationForm(_Form):
    """What is said in a recording, in another language."""

    to_language: str = Field("en", description="An extension: the code of that language.")
