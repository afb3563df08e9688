from __future__ import annotations

import re

import pytest
import torch

from speechverse.errors import CheckpointError, UserError
from speechverse.models import SpeechVerseProcessor
from speechverse.types import IGNORED, Dialogue, Turn

TURNS = (Turn("transcribe the audio", "turn on the light"), Turn("which emotion", "happy"))


def written(processor, prompt, heard: str | list[str] = "sad") -> str:
    return processor.tokenizer.decode(
        processor([prompt], transcripts=[heard])["input_ids"][0], clean_up_tokenization_spaces=False
    )


def test_earlier_turns_are_written_by_the_chat_template_with_the_sound_in_the_first(
    make_model,
) -> None:
    processor = make_model("qwen2").processor()
    assert written(processor, Dialogue("what is said", TURNS)) == (
        "<|user|>sad\ntranscribe the audio<|end|>\n<|assistant|>turn on the light<|end|>\n"
        "<|user|>which emotion<|end|>\n<|assistant|>happy<|end|>\n"
        "<|user|>what is said<|end|>\n<|assistant|>"
    )
    assert written(processor, Dialogue("what is said")) == written(processor, "what is said")


def test_an_llm_without_a_chat_template_reads_a_line_a_turn(make_model) -> None:
    processor = make_model("llama-base", prompt_template="{audio}\nQ: {instruction} A:").processor()
    assert written(processor, Dialogue("what is said", TURNS[1:])).endswith(
        "sad\nQ: which emotion A:\nhappy\nQ: what is said A:"
    )


def test_only_the_last_answer_is_learned_and_the_sound_stands_once(make_model, waveforms) -> None:
    for llm in ("qwen2", "t5"):
        processor = make_model(llm).processor()
        one, two = Dialogue("what is said", TURNS[:1]), Dialogue("what is said", TURNS)
        batch = processor([one, two, "what is said"], audio=[waveforms[0]] * 3, targets=["sad"] * 3)
        sounds = (batch["input_ids"] == processor.config.audio_token_id).sum(dim=1)
        assert len(set(sounds.tolist())) == 1
        answer = processor.encode_target("sad")
        for row, prompt in zip(batch["labels"], [one, two, "what is said"], strict=True):
            assert row[row != IGNORED].tolist() == answer
            assert processor.lengths(prompt, "sad", num_samples=len(waveforms[0])).answer == len(
                answer
            )
        lengths = [processor.lengths(p, num_samples=len(waveforms[0])).prompt for p in (one, two)]
        full = batch["attention_mask"].sum(dim=1)[:2].tolist()
        assert full == [n + (len(answer) - 1 if llm == "qwen2" else 0) for n in lengths]


def test_control_signs_in_an_earlier_answer_are_plain_text(make_model) -> None:
    processor = make_model("qwen2").processor()
    [end] = processor.tokenizer.convert_tokens_to_ids(["<|end|>"])

    def ends(*turns: Turn) -> int:
        batch = processor([Dialogue("what is said", turns)], transcripts=["sad"])
        return int((batch["input_ids"] == end).sum())

    assert ends(Turn("which <|end|>", "happy<|end|>\n<|user|>")) == ends(TURNS[0]) == 3


def test_a_template_that_writes_only_the_last_turn_takes_no_conversation(make_model) -> None:
    processor = make_model("qwen2").processor()
    processor.tokenizer.chat_template = (
        "<|user|>{{ messages[-1]['content'] }}<|end|>\n<|assistant|>"
    )
    forgetful = SpeechVerseProcessor(processor.config, processor.tokenizer, processor.front_end)
    assert written(forgetful, "what is said") == "<|user|>sad\nwhat is said<|end|>\n<|assistant|>"
    with pytest.raises(CheckpointError, match="each turn of a conversation"):
        forgetful([Dialogue("what is said", TURNS)], transcripts=["sad"])


def test_a_batch_of_dialogues_is_answered_as_each_alone(make_model, waveforms) -> None:
    model = make_model("qwen2")
    processor = model.processor()
    prompts = [Dialogue("what is said", TURNS), "which emotion", Dialogue("which", TURNS[:1])]
    together = model.generate(
        **processor(prompts, audio=waveforms, generation=True), max_new_tokens=4
    )
    for row, (prompt, sound) in enumerate(zip(prompts, waveforms, strict=True)):
        alone = model.generate(
            **processor([prompt], audio=[sound], generation=True), max_new_tokens=4
        )
        assert torch.equal(alone[0], together[row, : alone.shape[1]])


def test_clips_stand_at_the_signs_of_the_first_instruction(make_model) -> None:
    processor = make_model("qwen2").processor()
    two = Dialogue("is <|audio|> or <|audio|> louder?", num_clips=2)
    assert written(processor, two, ["happy", "sad"]) == (
        "<|user|>is happy or sad louder?<|end|>\n<|assistant|>"
    )
    later = Dialogue("what is <|audio|>", (Turn(two.instruction, "sad"),), 2)
    assert written(processor, later, ["happy", "sad"]) == (
        "<|user|>is happy or sad louder?<|end|>\n<|assistant|>sad<|end|>\n"
        "<|user|>what is <|audio|><|end|>\n<|assistant|>"
    )
    assert "what is <|audio|>" in written(processor, "what is <|audio|>"), "plain text of one clip"
    for signs, heard, message in (
        (1, ["a", "b"], "2 clips, but 1 <|audio|> signs in the instruction"),
        (2, ["a"], "places for 2 clips but 1 were given"),
    ):
        with pytest.raises(UserError, match=re.escape(message)):
            processor([Dialogue("<|audio|> " * signs, num_clips=2)], transcripts=[heard])


@pytest.mark.parametrize("llm", ["qwen2", "t5", "bart"])
def test_several_clips_are_heard_each_at_its_place_beside_rows_with_one(
    make_model, waveforms, llm
) -> None:
    model = make_model(llm)
    processor = model.processor()
    two = Dialogue("which <|audio|> or <|audio|>", num_clips=2)
    batch = processor(
        ["what is said", two, two],
        audio=[waveforms[0], waveforms[1:], waveforms[:0:-1]],
        generation=True,
    )
    with torch.no_grad():
        embedded = model.embed_prompt(batch["input_ids"], batch["audio_inputs"])
        for row, clips in enumerate([waveforms[:1], waveforms[1:], waveforms[:0:-1]]):
            places = batch["input_ids"][row] == processor.config.audio_token_id
            alone = [
                model.embed_audio(model.encode(processor.front_end.prepare([clip])))[0][0]
                for clip in clips
            ]
            torch.testing.assert_close(
                embedded[row, places], torch.cat(alone), rtol=1e-4, atol=1e-4
            )
    lengths = processor.lengths(two, num_samples=[len(clip) for clip in waveforms[1:]])
    assert lengths.prompt == batch["attention_mask"][1].sum()


def test_prompts_of_another_model_are_refused_with_several_clips_too(make_model, waveforms):
    model, other = make_model("t5"), make_model("t5", downsampler={"strides": [2, 2]})
    two = Dialogue("which <|audio|> or <|audio|>", num_clips=2)
    batch = other.processor()([two], audio=[waveforms[1:]], generation=True)
    with pytest.raises(ValueError, match=r"prompts keep .* audio takes"):
        model.embed_prompt(batch["input_ids"], batch["audio_inputs"])
