"""The page: its parts, where they stand, and what happens when they are used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import gradio as gr
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from speechverse.demo import views
from speechverse.demo.talk import Picking, Talk, Talker, Wish
from speechverse.errors import SpeechverseError, TaskError, UserError
from speechverse.longform.transcript import Segment
from speechverse.longform.writers import Decoder
from speechverse.pipeline import SpeechVerse
from speechverse.serving.engine import Engine
from speechverse.tasks import TaskQuestion, task_names

FIRST_TASK = "asr"
_PICKING: list[tuple[str, Picking]] = [
    ("Score every choice, and show its share", "score"),
    ("Write one of the choices and nothing else", "constrain"),
    ("Write freely", "free"),
]
_OF_ITSELF = "The encoder's own decoder, where it brings one"
_WRITERS: list[tuple[str, str]] = [(_OF_ITSELF, ""), ("The LLM", "llm")]
_A_MINUTE, _AN_HOUR = 60, 3600
_MODEL: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1}
"""Of whatever asks the model: one at a time, others wait in gradio's own line."""


def door(only_here: bool) -> dict[str, Any]:
    """What `launch` wants to let in whoever reaches it, or only who names this machine: no page of
    the network whose name was turned to this machine's address afterwards (DNS rebinding).
    """
    names = ["localhost", "127.0.0.1", "[::1]", "::1"] if only_here else ["*"]
    return {"app_kwargs": {"middleware": [Middleware(TrustedHostMiddleware, names)]}}


def look() -> dict[str, Any]:
    """What `launch` and `mount_gradio_app` want beside the page: its looks, and nothing that would
    come from elsewhere or be told to anybody.
    """
    fonts = ["ui-sans-serif", "system-ui", "sans-serif"]
    mono = ["ui-monospace", "monospace"]
    theme = gr.themes.Base(primary_hue="cyan", font=fonts, font_mono=mono).set(
        # The theme's own are too faint to read for some.
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        color_accent="*primary_700",
    )
    return {
        "theme": theme,
        "css": views.read("demo.css"),
        "head": f"<script>{views.read('demo.js')}</script>",
        "footer_links": ["settings"],
        "run_history": False,
        "max_file_size": "1gb",
        "ssr_mode": False,
    }


def build_page(
    loaded: SpeechVerse,
    examples: Sequence[Path] = (),
    engine: Engine | None = None,
    check: Callable[[str], None] = lambda clip: None,
) -> gr.Blocks:
    """A page to talk to a model, for `launch(**look())` or `mount_gradio_app(..., **look())`.

    Args:
        loaded: Who answers.
        examples: Clips to try.
        engine: In whose thread the model runs, where others use it, too.
        check: Is given each clip before it is read, and raises an AudioError for one that is not to
            be.
    """
    if engine is None:
        engine = Engine(max_batch=1)
        engine.start()
    talker = Talker(loaded, engine, check)
    with gr.Blocks(
        title="SpeechVerse",
        analytics_enabled=False,
        delete_cache=(_A_MINUTE, _AN_HOUR),  # how often it looks, and how old may be what it finds
    ) as page:
        _html(_heading(loaded))
        with gr.Row():
            with gr.Column(scale=5, min_width=300):
                clip = gr.Audio(
                    sources=["microphone", "upload"],
                    type="filepath",
                    label="Clip",
                    buttons=[],
                    waveform_options=gr.WaveformOptions(sample_rate=16_000),
                )
                _take_no_addresses(clip)
                picture = _html()
                if examples:
                    gr.Examples([[str(path)] for path in examples], [clip], label="Clips to try")
            with gr.Column(scale=6, min_width=300), gr.Tabs():
                with gr.Tab("Ask"):
                    answers = _ask_tab(talker, clip)
                with gr.Tab("Transcript"):
                    player, transcript = _transcript_tab(talker, clip)

        def show_clip(path: str | None) -> tuple[str, str, str, str]:
            try:
                if path:
                    check(path)
                limit = loaded.processor.max_audio_seconds
                return views.show_clip(path, limit) if path else "", "", "", ""
            except SpeechverseError as error:
                return views.show_error(_without_folder(error, path)), "", "", ""

        emptied = [picture, answers, player, transcript]
        clip.change(show_clip, clip, emptied, show_progress="hidden")
    return page


def _take_no_addresses(clip: gr.Audio) -> None:
    """Gradio would fetch a clip from an address, in this machine's name."""
    take = clip.async_move_resource_to_block_cache

    async def take_file(url_or_file_path: Any) -> str | None:
        if "://" in str(url_or_file_path):
            raise gr.Error("no addresses are fetched: upload the recording itself")
        taken: str | None = await take(url_or_file_path)
        return taken

    # No class of its own: gradio writes a file beside the source of each.
    clip.async_move_resource_to_block_cache = take_file


def _ask_tab(talker: Talker, clip: gr.Audio) -> gr.HTML:
    """Fields of a question and where it is answered."""
    task = gr.Dropdown(
        [("Your own words", ""), *((q.task.title, name) for name, q in _questions())],
        value=FIRST_TASK,
        label="Task",
        info="fills in the fields below",
    )
    instruction = gr.Textbox(_fields_of(FIRST_TASK)[0], label="Instruction", lines=2)
    choices = gr.Textbox(label="Choices", info="the answers allowed, with commas between")
    with gr.Accordion("More", open=False):
        picking = gr.Radio(_PICKING, value="score", label="How a choice is found")
        hints = gr.Textbox(label="Hints", info="words that may be heard, with commas between")
        beside = gr.Checkbox(label="Ask the cascade, too: Whisper's text, read by the same LLM")
    with gr.Row():
        ask = gr.Button("Ask", variant="primary", min_width=80)
        follow = gr.Button("Follow up", min_width=80, interactive=False)
        stop = gr.Button("Stop", min_width=80, elem_classes="sv-stop")
    answers = _html()
    talk = gr.State(None, time_to_live=_AN_HOUR)
    fields = [clip, instruction, choices, hints, picking, beside]

    def answer(earlier: Talk | None, *filled: Any) -> Iterator[tuple[Talk | None, str, Any]]:
        shown = earlier
        try:
            for shown in talker.ask(Wish(*filled), earlier):
                yield shown, views.show_turns(shown.turns), gr.skip()
        except SpeechverseError as error:
            told = views.show_error(_without_folder(error, filled[0]))
            before = views.show_turns(earlier.turns) if earlier else ""
            yield earlier, before + told, gr.skip()
        else:
            yield shown, views.show_turns(shown.turns) if shown else "", gr.update(interactive=True)

    def anew(*filled: Any) -> Iterator[tuple[Talk | None, str, Any]]:
        yield from answer(None, *filled)

    how: dict[str, Any] = {"outputs": [talk, answers, follow], "show_progress": "hidden", **_MODEL}
    asked = [
        gr.on([ask.click, instruction.submit], anew, fields, api_name="ask", **how),
        follow.click(answer, [talk, *fields], api_name="follow", **how),
    ]
    stop.click(None, cancels=asked)
    task.input(_fields_of, task, [instruction, choices], show_progress="hidden")
    return answers


def _transcript_tab(talker: Talker, clip: gr.Audio) -> tuple[gr.HTML, gr.HTML]:
    """A transcript of any length that plays where it is chosen: its player, and its text."""
    decoder = gr.Radio(_WRITERS, value="", label="Who writes")
    with gr.Row():
        write = gr.Button("Write down", variant="primary", min_width=80)
        stop = gr.Button("Stop", min_width=80, elem_classes="sv-stop")
    player, transcript = _html(), _html()

    def begin(path: str | None) -> tuple[str, str]:
        source = f"gradio_api/file={quote(path or '')}"
        return views.show_player(source) if path else "", views.show_transcript([], done=False)

    def transcribe(path: str | None, decoder: Decoder | Literal[""]) -> Iterator[str]:
        segments = list[Segment]()
        try:
            for segment in talker.write(path, decoder or None):
                segments.append(segment)
                yield views.show_transcript(segments, done=False)
        except SpeechverseError as error:
            yield views.show_error(_without_folder(error, path))
        else:
            yield views.show_transcript(segments, done=True)

    # The player is made once: it would stop if it were remade with each segment.
    how: dict[str, Any] = {"api_name": "transcribe", "show_progress": "hidden", **_MODEL}
    opened = write.click(begin, clip, [player, transcript], api_name=False, show_progress="hidden")
    writing = opened.then(transcribe, [clip, decoder], transcript, **how)
    stop.click(None, cancels=[opened, writing])
    return player, transcript


def _html(value: str = "") -> gr.HTML:
    return gr.HTML(value, apply_default_css=False)


def _questions() -> Iterator[tuple[str, TaskQuestion]]:
    """Tasks that can be asked of any clip, in their own words."""
    for name in task_names():
        try:
            yield name, TaskQuestion.of(name)
        except TaskError:
            continue  # it asks about something that only a corpus names


def _fields_of(task: str) -> tuple[str, str]:
    if not task:
        return "", ""
    question = TaskQuestion.of(task)
    return question.instruction, ", ".join(question.choices or ())


def _heading(loaded: SpeechVerse) -> str:
    config = loaded.model.config
    return views.show_heading(Path(config.encoder).name, Path(config.llm).name)


def _without_folder(error: SpeechverseError, path: str | None) -> UserError:
    """The same words, without the folder in which the server keeps what was uploaded."""
    folder = f"{Path(path).parent}/" if path else ""
    return UserError(str(error).replace(folder, "") if folder else str(error))
