"""Prompts as an LLM's own template writes them: turns of plain text, with a place for the audio."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from speechverse.errors import CheckpointError, UserError
from speechverse.models.configuration_speechverse import SpeechVerseConfig
from speechverse.models.llm import chat_text
from speechverse.models.plain_text import PlainText
from speechverse.types import AUDIO_SIGN, Dialogue, Prompt, Turn


class PromptWriter:
    """Writes prompts as ids.

    A decoder-only LLM with a chat template gets a user's and an assistant's turns; any other the
    same texts, each on a line of its own. The audio stands in the first turn alone.
    """

    def __init__(
        self, config: SpeechVerseConfig, text: PlainText, ids: Callable[[str], list[int]]
    ) -> None:
        """`ids` reads text as `PlainText.ids` does."""
        self.config = config
        self.tokenizer = text.tokenizer
        self.text = text
        self._ids = ids
        self._chats = bool(self.tokenizer.chat_template) and not config.is_encoder_decoder
        self._audio = text.mark("audio")
        self._layouts: dict[tuple[int, bool], str] = {}
        self._prefix, self._suffix = special_tokens(self.tokenizer, "text")
        self._layout(0, False)

    def around(self, prompt: Prompt) -> list[list[int]]:
        """The ids before, between and after the clips, special tokens included.

        Raises:
            UserError: If several clips have not as many `<|audio|>` signs.
        """
        dialogue = Dialogue(prompt) if isinstance(prompt, str) else prompt
        turns = [*dialogue.earlier, Turn(dialogue.instruction, "")]
        if dialogue.num_clips is not None:
            turns[0] = Turn(self._with_places(turns[0], dialogue.num_clips), turns[0].answer)
        written = self._layout(len(dialogue.earlier), dialogue.num_clips is not None)
        for number, turn in enumerate(turns):
            written = written.replace(self._mark("instruction", number), turn.instruction)
            written = written.replace(self._mark("answer", number), turn.answer)
        parts = [self._ids(part) for part in written.split(self._audio)]
        if not self._chats:
            parts[0] = [*self._prefix, *parts[0]]
            parts[-1] = [*parts[-1], *(self._suffix if self.config.is_encoder_decoder else [])]
        return parts

    def _with_places(self, first: Turn, num_clips: int) -> str:
        num_signs = first.instruction.count(AUDIO_SIGN)
        if num_signs != num_clips:
            raise UserError(
                f"{num_clips} clips, but {num_signs} {AUDIO_SIGN} signs in the instruction"
                f" {first.instruction!r}; write one where each clip belongs"
            )
        return first.instruction.replace(AUDIO_SIGN, self._audio)

    def _mark(self, name: str, number: int) -> str:
        return self.text.mark(f"{name}{number}of")

    def _layout(self, num_earlier: int, has_signs: bool) -> str:
        """A prompt behind so many turns, as `PlainText.ids` reads it, with marks for all that
        differs; with no place for audio where the first instruction has signs for it.
        """
        key = (num_earlier, has_signs)
        if key not in self._layouts:
            self._layouts[key] = self.text.template(self._make_layout(*key))
        return self._layouts[key]

    def _make_layout(self, num_earlier: int, has_signs: bool) -> str:
        instructions = [self._mark("instruction", number) for number in range(num_earlier + 1)]
        answers = [self._mark("answer", number) for number in range(num_earlier)]
        template = self.config.prompt_template
        later = template.replace("{audio}", "").strip()
        users = [
            (later if number or has_signs else template.replace("{audio}", self._audio)).replace(
                "{instruction}", mark
            )
            for number, mark in enumerate(instructions)
        ]
        if self._chats:
            text = self._chat(users, answers)
        elif self.config.system_prompt:
            raise CheckpointError(
                f"the LLM '{self.config.llm}' has no chat template that could write a"
                " system_prompt; put its words into prompt_template instead"
            )
        else:
            text = "\n".join(_alternating(users, answers))
        if text.count(self._audio) != int(not has_signs) or not _in_order(
            text, _alternating(instructions, answers)
        ):
            turns = "a user's turn" if num_earlier == 0 else "each turn of a conversation"
            raise CheckpointError(
                f"the chat template of the LLM '{self.config.llm}' does not write {turns}"
                " exactly once, so the audio has no place in it; use another LLM, or mend its"
                " template"
            )
        return text

    def _chat(self, users: Sequence[str], answers: Sequence[str]) -> str:
        """The turns, behind the system's if one is set, as the chat template writes them."""
        system = self.config.system_prompt
        turns = [{"role": "system", "content": system}] if system is not None else []
        for number, text in enumerate(_alternating(users, answers)):
            turns.append({"role": ("user", "assistant")[number % 2], "content": text})
        try:
            written = chat_text(self.tokenizer, turns, add_generation_prompt=True)
        except TemplateError as error:
            if answers:
                raise CheckpointError(
                    f"the chat template of the LLM '{self.config.llm}' takes no conversation"
                    f" ({error}); ask one question at a time"
                ) from error
            raise self._no_system_turn(str(error)) from error
        if system and system.strip() not in written:
            raise self._no_system_turn("it leaves it out")
        return written

    def _no_system_turn(self, reason: str) -> CheckpointError:
        return CheckpointError(
            f"the chat template of the LLM '{self.config.llm}' does not take a prompt with this"
            f" system_prompt ({reason}); set none, and put its words into prompt_template"
        )


def _alternating(users: Sequence[str], answers: Sequence[str]) -> list[str]:
    """User, answer, user, ..., user."""
    texts = [text for turn in zip(users, answers, strict=False) for text in turn]
    return [*texts, users[-1]]


def _in_order(text: str, marks: Sequence[str]) -> bool:
    """Whether each of the marks is in a text once, one behind the other."""
    places = [text.find(mark) for mark in marks]
    return all(text.count(mark) == 1 for mark in marks) and all(
        first < second for first, second in pairwise(places)
    )


def special_tokens(
    tokenizer: PreTrainedTokenizerBase, argument: str
) -> tuple[list[int], list[int]]:
    """What a tokenizer puts before and after any text."""
    probe = "a"
    bare = tokenizer(**{argument: probe}, add_special_tokens=False)["input_ids"]
    full = tokenizer(**{argument: probe})["input_ids"]
    for start in range(len(full) - len(bare) + 1):
        if full[start : start + len(bare)] == bare:
            return full[:start], full[start + len(bare) :]
    return [], []
