"""Speech translation: English speech to text in another language, each language scored apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from speechverse.errors import TaskError, unknown_name
from speechverse.tasks.prompts import PromptSet
from speechverse.tasks.task import Ask, Task
from speechverse.types import Example, Utterance

LANGUAGES = {
    "de": "German",
    "fr": "French",
    "ca": "Catalan",
    "es": "Spanish",
    "it": "Italian",
    "nl": "Dutch",
    "pt": "Portuguese",
    "ro": "Romanian",
}


@dataclass(frozen=True, kw_only=True)
class Translation(Task):
    """A task with one variant for each language an utterance is translated into.

    Attributes:
        languages: Language code to its English name, as instructions say it.
    """

    languages: Mapping[str, str] = field(default_factory=lambda: LANGUAGES)

    def missing(self, utterance: Utterance) -> str | None:
        """As for any task; an empty table of translations also lacks them."""
        lack = Task.missing(self, utterance)
        return lack or (None if self.variants(utterance) else "its label 'translations' is empty")

    def variants(self, utterance: Utterance) -> tuple[str, ...]:
        """Codes of the languages the utterance is translated into."""
        return tuple(code for code, text in utterance.labels["translations"].items() if text)

    def fields(self, utterance: Utterance, ask: Ask, variant: str) -> Mapping[str, str]:
        if variant not in self.languages:
            raise TaskError(
                f"'translations' of utterance '{utterance.id}':"
                f" {unknown_name('language', variant, self.languages)}"
            )
        return {"language": self.languages[variant]}

    def answer(self, utterance: Utterance, fields: Mapping[str, str], variant: str) -> str:
        return utterance.labels["translations"][variant]

    def language_of(self, example: Example) -> str | None:
        return example.group


ST = Translation(
    name="st",
    title="Speech translation",
    version=3,  # 2 asked in several hundred wordings
    group="slu",
    prompts=PromptSet.load("st"),
    requires=("translations",),
    metrics=("bleu", "chrf"),
)
