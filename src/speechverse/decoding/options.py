"""How answers are made, declared once: for Python, a recipe's `decoding:` section and the command
line.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic.functional_validators import ModelWrapValidatorHandler

from speechverse.config import NESTED, Config, PositiveInt, describe_fault
from speechverse.errors import UserError

ChoiceMode = Literal["constrain", "score", "free"]
ChoiceScoring = Literal["raw", "length", "prior"]

FREE_ONLY = ("repetition_penalty", "no_repeat_ngram_size", "stop")
"""Options of free answers alone: they could forbid, or cut off, what a constraint demands."""

NO_MATTER = {"batch_positions", "max_batch"}
"""Options that change no answer."""


class DecodingOptions(Config):
    """How answers are made: greedily, with beams, or drawn (where `temperature`, `top_p` or `top_k`
    is set).

    Repetition control and stop strings shape free answers only; an answer under a constraint is
    kept in form by it. Wrong options, and such as exclude each other, raise `UserError`.
    """

    max_new_tokens: PositiveInt | None = Field(
        default=None,
        description=(
            "The most tokens of a free answer; null lets it grow: 8 a second of audio, and 32."
        ),
    )
    num_beams: PositiveInt = Field(default=1, description="Beams; 1 is greedy.")
    temperature: Annotated[float, Field(ge=0)] | None = Field(
        default=None,
        description="Draw tokens, the likelier ones less often the higher it is; 0 is greedy.",
    )
    top_p: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None, description="Draw among the likeliest tokens that have this share together."
    )
    top_k: PositiveInt | None = Field(
        default=None, description="Draw among so many of the likeliest tokens."
    )
    seed: int | None = Field(
        default=None, description="Of the draws: the same draws again; null draws anew each time."
    )
    no_repeat_ngram_size: PositiveInt | None = Field(
        default=None, description="No run of so many tokens comes twice in a free answer."
    )
    repetition_penalty: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        description="Above 1, tokens that a free answer has already become less likely in it.",
    )
    stop: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False)] = Field(
        default=(), description="Texts that a free answer ends before."
    )
    choice_mode: ChoiceMode = Field(
        default="constrain",
        description=(
            "Closed sets by constrained generation, by scoring every choice, or freely. Slot lists,"
            " which cannot be scored, are constrained in both the first modes."
        ),
    )
    choice_scoring: ChoiceScoring = Field(
        default="length",
        description=(
            "What 'score' compares: the raw log-probability, its mean by token, or what the clip"
            " adds to the log-probability on an empty utterance."
        ),
    )
    batch_positions: PositiveInt = Field(
        default=8192, description="LLM positions in a batch, padding included."
    )
    max_batch: PositiveInt = Field(default=64, description="Examples in a batch.")

    @field_validator("stop", mode="before")
    @classmethod
    def _one_or_several(cls, stop: Any) -> Any:
        return (stop,) if isinstance(stop, str) else stop

    @property
    def draws(self) -> bool:
        """Whether tokens are drawn."""
        return self.temperature != 0 and self._wants_draws

    @property
    def _wants_draws(self) -> bool:
        return any(given is not None for given in (self.temperature, self.top_p, self.top_k))

    def changed(self, **changes: Any) -> Self:
        """These options with some of them changed.

        Raises:
            UserError: As for new ones.
        """
        return type(self)(**{**self.model_dump(exclude_defaults=True), **changes})

    @model_validator(mode="wrap")
    @classmethod
    def _checked(
        cls, values: Any, made: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        """Tells of faults in words, where they are not those of a whole recipe."""
        try:
            options = made(values)
        except ValidationError as error:
            if info.context == NESTED:
                raise
            told = "\n".join(describe_fault(item, cls, values) for item in error.errors())
            raise UserError(f"decoding options: {told}") from None
        if (fault := options._contradiction()) and info.context == NESTED:
            raise ValueError(fault)
        if fault:
            raise UserError(f"decoding options: {fault}")
        return options

    def _contradiction(self) -> str | None:
        """Why these options exclude each other, and what to do."""
        if self._wants_draws and self.num_beams > 1:
            return (
                "num_beams looks for the likeliest answer, and temperature, top_p and top_k draw"
                " one: give either"
            )
        if self._wants_draws and self.choice_mode == "score":
            return (
                "choice_mode 'score' takes the likeliest choice and draws nothing: leave out"
                " temperature, top_p and top_k, or choose with 'constrain'"
            )
        if self.temperature == 0 and (self.top_p is not None or self.top_k is not None):
            return "temperature 0 is greedy and draws nothing: leave out top_p and top_k"
        if self.seed is not None and not self._wants_draws:
            return "seed is of draws, and nothing is drawn: give a temperature as well"
        return None


DEFAULTS = DecodingOptions()
