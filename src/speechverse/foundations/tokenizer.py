"""One subword tokenizer for both foundations: the LLM's text and the encoder's CTC units.

A word is one piece where it is common, pieces or letters otherwise, and the same pieces whatever stands before it:
punctuation is split off, so that "radio" in quotes is the "radio" of the transcript. Everything is lower case.
"""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"
LINE_BREAK = "⏎"
LETTERS = "abcdefghijklmnopqrstuvwxyzäöüßàâæçéèêëîïôœùûÿáíóúñåøž0123456789"
MARKS = "'’-.,;:?!=_/()[]\"<>|&%+*#@$€£" + LINE_BREAK
_APART = r"[^\w\s'’\-]|_|(?<!\w)['’\-]|['’\-](?!\w)"


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Learns byte-pair pieces of words.

    Args:
        texts: What both foundations will read and write.
        vocab_size: Pieces in all, letters, marks and the three special ones included.

    Returns:
        A tokenizer with ids 0 padding (the CTC blank), 1 end, 2 unknown; it ends a text with the end token.
    """
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Lowercase(), normalizers.Replace("\n", f" {LINE_BREAK} ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Split(Regex(_APART), "isolated"),
            pre_tokenizers.Metaspace(prepend_scheme="always"),
        ]
    )
    tokenizer.decoder = _decoder()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=[PAD, END, UNKNOWN],
        initial_alphabet=list(LETTERS + MARKS + "▁"),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*texts, *_every_mark()], trainer)
    end = (END, tokenizer.token_to_id(END))
    tokenizer.post_processor = processors.TemplateProcessing(single=f"$A {END}", special_tokens=[end])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        unk_token=UNKNOWN,
        clean_up_tokenization_spaces=False,
    )


def _every_mark() -> list[str]:
    """Makes each mark, and each letter that begins a word, a piece of its own."""
    return [character for character in LETTERS + MARKS for _ in range(100)]


def _decoder() -> decoders.Decoder:
    """Undoes the splitting where written text has no spaces."""
    before = [decoders.Replace(f" {mark}", mark) for mark in ",;:.?!)"]
    around = [decoders.Replace(" _ ", "_"), decoders.Replace(f" {LINE_BREAK} ", "\n"), decoders.Replace("( ", "(")]
    return decoders.Sequence([decoders.Metaspace(prepend_scheme="always"), decoders.Fuse(), *before, *around])
