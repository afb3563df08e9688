"""What the spoken world says: requests with their parse and true translations, and other sentences beside them."""

from speechverse.synth.language.sentence import STRATA, Sentence, draw_sentence, inventory, words

__all__ = ["STRATA", "Sentence", "draw_sentence", "inventory", "words"]
