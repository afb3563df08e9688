"""What others write is plain text to the LLM: it never becomes a control sign, and comes out as it
went in.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken
from transformers import ByT5Tokenizer

from microscopic import by_characters, byte_fallback, byte_level, unigram
from speechverse.decoding import DecodingOptions, Question, answer_questions
from speechverse.errors import CheckpointError, UserError
from speechverse.models import SpeechVerseProcessor
from speechverse.models.plain_text import PlainText
from speechverse.tasks import OneOf

WORDS = [
    "play some music in the kitchen",
    "what is being said <|im_end|> </s>",
    "<s> <pad> [INST] |x|",
] * 4
SIGNS = [
    "<pad>",
    "</s>",
    "<s>",
    "<unk>",
    "<|im_start|>",
    "<|im_end|>",
    "<|audio|>",
    "[INST]",
    "<bos>",
    "<tool>",
]


def chat():
    """Byte-level BPE with a sign that is added but not called special, an added word and added
    white space.
    """
    tokenizer = byte_level(
        WORDS, ["<pad>", "</s>", "<s>", "<|im_start|>", "<|im_end|>"], 420, bos_token="<s>"
    )
    tokenizer.add_tokens(
        [AddedToken("<tool>", special=False), AddedToken("kubernetes"), AddedToken("\n\n\n")]
    )
    return tokenizer


MAKERS = {
    "byte-level": lambda: chat(),
    "unigram": lambda: unigram([*WORDS, "<|>/[]"]),
    "byte fallback": lambda: byte_fallback(WORDS),
    "BPE by characters": lambda: by_characters([*WORDS, "hello,"]),
    "written in Python": ByT5Tokenizer,
}
PLAIN = {kind: PlainText(make()) for kind, make in MAKERS.items()}
ROUND_TRIP = ("byte-level", "byte fallback", "written in Python")
"""Of these every text can be spelt, and comes out as it went in."""


def control(plain: PlainText, ids: list[int]) -> list[int]:
    return [
        token
        for token in ids
        if token in plain.signs.values() and token != plain.tokenizer.unk_token_id
    ]


@pytest.mark.parametrize("kind", PLAIN)
def test_control_signs_in_a_text_are_spelt_in_pieces(kind: str) -> None:
    plain = PLAIN[kind]
    for sign in plain.signs:
        for text in (sign, f"stop{sign}now", f"say {sign} {sign} twice", f"\n{sign}\n"):
            assert control(plain, plain.ids(text)) == []
            if kind in ROUND_TRIP:
                assert plain.decode([plain.ids(text)]) == [text]


@pytest.mark.parametrize("kind", PLAIN)
def test_the_templates_own_signs_stay_control_signs_beside_the_same_in_a_text(kind: str) -> None:
    plain = PLAIN[kind]
    ids = plain.ids(
        plain.template("</s> play</s>") + "what</s> is <pad> said" + plain.template("</s>")
    )
    assert control(plain, ids) == [plain.signs["</s>"]] * 3


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize(
    "text",
    ["play some music\nin the kitchen", " two  spaces ", "kubernetes\n\n\nis", "ein Ü, 12 €"],
)
def test_text_without_signs_is_cut_as_the_tokenizer_cuts_it(kind: str, text: str) -> None:
    plain = PLAIN[kind]
    assert plain.ids(text) == plain.tokenizer(text, add_special_tokens=False)["input_ids"]


def test_a_template_is_read_as_the_tokenizer_reads_it() -> None:
    text = "<|im_start|>user\nplay some music<|im_end|>\n<|im_start|>assistant\n"
    plain = PLAIN["byte-level"]
    assert (
        plain.ids(plain.template(text))
        == plain.tokenizer(text, add_special_tokens=False)["input_ids"]
    )


texts = st.lists(st.one_of(st.sampled_from(SIGNS), st.text(max_size=4)), max_size=8).map("".join)


@pytest.mark.parametrize("kind", PLAIN)
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(text=texts)
def test_no_text_whatever_becomes_a_control_sign(kind: str, text: str) -> None:
    plain = PLAIN[kind]
    ids = plain.ids(text)
    assert control(plain, ids) == []
    framed = plain.ids(plain.template("<s>") + text + plain.template("</s>"))
    ends = [plain.signs[sign] for sign in ("<s>", "</s>") if sign in plain.signs]
    assert control(plain, framed) == ends
    if kind == "byte-level":
        assert plain.decode([ids]) == [text]
    if not any(sign in text for sign in plain.signs):
        assert ids == plain.tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("kind", ["byte-level", "byte fallback", "written in Python"])
def test_what_has_bytes_to_fall_back_on_spells_everything(kind: str) -> None:
    assert PLAIN[kind].unspelt("привет <unk> 漢字") == ""


def test_what_cannot_be_spelt_is_named_each_sign_once() -> None:
    assert PLAIN["BPE by characters"].unspelt("hello привет, тир <unk>") == "привет"
    assert PLAIN["BPE by characters"].unspelt("hello <unk> </s>") == ""


def test_half_a_character_is_refused() -> None:
    plain = PLAIN["byte-level"]
    with pytest.raises(UserError, match="half a character") as refused:
        plain.ids(plain.template("<start>") + "caf\udce9")
    assert plain.mark("")[2:-2] not in str(refused.value)  # who knew it could write control signs


@pytest.mark.parametrize("llm", ["t5", "bart", "mbart", "llama", "llama-base", "qwen2", "gemma"])
def test_instruction_transcript_and_target_change_no_control_sign_of_a_prompt(
    llm: str, make_model
) -> None:
    processor = make_model(llm).processor()
    signs = " ".join(
        ["</s>", "<s>", "<pad>", "<|end|>", "<|assistant|>", "<|user|>", "<|audio|>", "{audio}"]
    )

    def prompt(instruction: str, transcript: str, target: str) -> list[int]:
        batch = processor([instruction], transcripts=[transcript], targets=[target])
        labels = [token for token in batch["labels"][0].tolist() if token >= 0]
        return control(processor.text, [*batch["input_ids"][0].tolist(), *labels])

    assert prompt(f"what {signs} is said", f"play{signs} jazz", f"yes {signs}") == prompt(
        "what", "play", "yes"
    )
    assert processor.decode([processor.encode_target(signs)]) == [signs]
    heard = processor(
        [f"what is <|audio|> {signs}"],
        audio=[np.full(8000, 0.1, dtype=np.float32)],
        generation=True,
    )
    asked = processor(
        ["what is said"], audio=[np.full(8000, 0.1, dtype=np.float32)], generation=True
    )
    audio = processor.config.audio_token_id
    assert (heard["input_ids"] == audio).sum() == (asked["input_ids"] == audio).sum()


def test_choices_that_are_control_signs_are_answered_as_text(make_model) -> None:
    model = make_model("qwen2")
    processor = model.processor()
    choices, sound = ("<|end|>", "</s> no"), np.full(8000, 0.1, dtype=np.float32)
    question = Question("which", 40, samples=lambda: sound, constraint=OneOf(choices))
    assert answer_questions(model, processor, [question])[0].text in choices
    scored = answer_questions(model, processor, [question], DecodingOptions(choice_mode="score"))[0]
    assert set(scored.choice_scores) == set(choices)


def test_a_system_prompt_stands_in_the_prompt_or_is_refused(make_model) -> None:
    model = make_model("qwen2", system_prompt="be brief")
    template = "{% for turn in messages %}<|user|>{{ turn.content }}{% endfor %}<|assistant|>"
    tokenizer = model.processor().tokenizer
    tokenizer.chat_template = template
    prompt = SpeechVerseProcessor(model.config, tokenizer, model.encoder.front_end)(
        ["what"], transcripts=["play"]
    )
    assert "be brief" in tokenizer.decode(prompt["input_ids"][0])
    for written, reason in (
        (
            "{% for turn in messages if turn.role == 'user' %}{{ turn.content }}{% endfor %}",
            "it leaves it out",
        ),
        ("{{ raise_exception('System role not supported') }}", "System role not supported"),
    ):
        tokenizer.chat_template = written
        with pytest.raises(
            CheckpointError, match=rf"does not take a prompt with this system_prompt \({reason}\)"
        ):
            SpeechVerseProcessor(model.config, tokenizer, model.encoder.front_end)
    tokenizer.chat_template = "{% for turn in messages %}{{ turn.content"
    with pytest.raises(
        CheckpointError, match=r"is broken or cut off \(line 1: .*; get the LLM anew"
    ):
        SpeechVerseProcessor(model.config, tokenizer, model.encoder.front_end)
    with pytest.raises(CheckpointError, match="no chat template that could write a system_prompt"):
        make_model("llama-base", system_prompt="be brief").processor()
