"""`/v1/audio/...`: what is said in a recording, stretch by stretch through the engine."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as TooLate
from typing import Any

from speechverse.commas import listed
from speechverse.errors import UserError
from speechverse.longform.cutting import Stretch, cut_at_pauses
from speechverse.longform.listening import AT_ONCE
from speechverse.longform.transcript import Segment, Transcript
from speechverse.longform.writers import Writer
from speechverse.pipeline import SpeechVerse
from speechverse.serving.calls import Call
from speechverse.serving.engine import Ticket
from speechverse.serving.refusals import Refusal
from speechverse.serving.schema import TranscriptionForm, TranslationForm
from speechverse.serving.uploads import Samples
from speechverse.serving.works import Writing

Form = TranscriptionForm | TranslationForm


def work_of(loaded: SpeechVerse, form: Form) -> Writing:
    """Who writes, as the form has it.

    Raises:
        UserError: As `transcribe` and `translate`; also for a format that fits nothing else asked.
    """
    if form.stream and form.response_format not in ("json", "text"):
        message = f"response_format '{form.response_format}' is made of the whole: leave out stream"
        raise Refusal(400, message, param="stream")
    if isinstance(form, TranslationForm):
        try:
            writer = loaded.translator(form.to_language)
        except UserError as error:
            raise Refusal(400, str(error), param="to_language") from error
        return Writing(writer, ("translator", form.to_language))
    if form.timestamp_granularities and form.response_format != "verbose_json":
        message = "timestamp_granularities[] want response_format 'verbose_json'"
        raise Refusal(400, message, param="timestamp_granularities[]")
    hints = listed(form.prompt)
    writer = loaded.writer(form.decoder, form.language or None, hints)
    return Writing(writer, (form.decoder, form.language, hints))


def segments(call: Call, work: Writing, samples: Samples) -> Iterator[Segment]:
    """What is said, in order, as it is written; a few stretches wait at a time, so that others have
    their turns between them.

    Raises:
        Refusal: At the call's deadline.
    """
    waiting = deque[tuple[Stretch, Ticket]]()
    for stretch in cut_at_pauses(samples.blocks(), work.writer.longest):
        waiting.append((stretch, call.submit(Ticket(work, stretch.samples))))
        if len(waiting) == AT_ONCE:
            yield _next(call, waiting)
    while waiting:
        yield _next(call, waiting)


def _next(call: Call, waiting: deque[tuple[Stretch, Ticket]]) -> Segment:
    stretch, ticket = waiting.popleft()
    try:
        answer = ticket.future.result(call.left)
    except (TooLate, CancelledError):
        raise call.late() from None
    return Segment(stretch.start, stretch.end, answer.text.strip(), answer.ended)


def transcript_of(segments: Iterator[Segment], writer: Writer, samples: Samples) -> Transcript:
    return Transcript(
        tuple(segments), samples.duration, writer.title, writer.language, task=writer.task
    )


def format_transcript(transcript: Transcript, format: str) -> str | dict[str, Any]:
    """A transcript in one of OpenAI's formats."""
    if format == "srt":
        return transcript.srt()
    if format == "vtt":
        return transcript.vtt()
    if format == "text":
        return transcript.text + "\n"
    usage = {"usage": {"type": "duration", "seconds": round(transcript.duration, 3)}}
    told = {"text": transcript.text} if format == "json" else transcript.as_dict()
    return {**told, **usage}


def events(segments: Iterator[Segment], seconds: float) -> Iterator[dict[str, Any]]:
    """OpenAI's events of a transcript as it comes."""
    text = ""
    for segment in segments:
        if segment.text:
            delta = f" {segment.text}" if text else segment.text
            text += delta
            yield {"type": "transcript.text.delta", "delta": delta}
    usage = {"type": "duration", "seconds": round(seconds, 3)}
    yield {"type": "transcript.text.done", "text": text, "usage": usage}
