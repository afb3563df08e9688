"""Procedural exercises for the small LLM: copying, searching, spelling and counting over random strings.

They teach it to read the instruction and to look things up in what is said; the world's own sentences cannot, because
there a label can be guessed. Questions are dense (several answers to a sample): one yes or no is one bit.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

SYLLABLES = tuple(
    """ba be bo ca co da de di do fa fi ga go ka la le li lo lu ma mi mo na ne no pa pe ra re ri ro sa se si ta te ti to
    va vi za""".split()
)
NUMBERS = tuple(
    """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen""".split()
)


class Exercise(NamedTuple):
    """What is said, what is asked, what should come."""

    said: str
    instruction: str
    target: str


class Practice:
    """Draws exercises over given words and pseudo-words."""

    def __init__(self, words: Sequence[str], copy_wordings: Sequence[str]) -> None:
        """Takes the words to practise with and the task wordings that ask for a transcript."""
        self.words = words
        self.copy_wordings = copy_wordings
        kinds: dict[Callable[[random.Random, list[str]], Exercise], float] = {
            self._copy: 3.0,
            self._search: 2.5,
            self._which: 2.0,
            self._choose: 1.0,
            self._neighbours: 1.0,
            self._spell: 0.7,
            self._count: 0.4,
            self._ends: 0.7,
            self._reorder: 0.5,
            self._format: 0.5,
            self._replace: 0.7,
            self._correct: 0.7,
            self._chain: 0.8,
        }
        self._kinds, self._weights = list(kinds), list(kinds.values())

    def draw(self, rng: random.Random, longest: int = 14) -> Exercise:
        """One exercise over 2 to `longest` words, short ones more often."""
        length = 2 + int((longest - 1) * rng.random() ** 1.7)
        said = self._some(rng, length)
        return rng.choices(self._kinds, self._weights)[0](rng, said)

    def _some(self, rng: random.Random, count: int) -> list[str]:
        return [self._word(rng) for _ in range(count)]

    def _word(self, rng: random.Random) -> str:
        if rng.random() < 0.85:
            return rng.choice(self.words)
        return "".join(rng.choice(SYLLABLES) for _ in range(rng.randint(2, 3)))

    def _copy(self, rng: random.Random, said: list[str]) -> Exercise:
        return Exercise(" ".join(said), rng.choice(self.copy_wordings), " ".join(said))

    def _mixed(self, rng: random.Random, said: list[str], count: int) -> list[str]:
        """Words to ask about, about half of them said."""
        return [rng.choice(said) if rng.random() < 0.5 else self._word(rng) for _ in range(count)]

    def _search(self, rng: random.Random, said: list[str]) -> Exercise:
        asked = self._mixed(rng, said, rng.choices((1, 2, 3, 5, 7), (2, 1, 2, 2, 1))[0])
        listed = ", ".join(f'"{word}"' if rng.random() < 0.5 else word for word in asked)
        form = rng.choice(("Is {} said? yes or no.", "Tell for each whether it is said: {}", "Do you hear {}?"))
        return Exercise(" ".join(said), form.format(listed), " ".join("yes" if w in said else "no" for w in asked))

    def _which(self, rng: random.Random, said: list[str]) -> Exercise:
        asked = list(dict.fromkeys(self._mixed(rng, said, rng.randint(2, 6))))
        heard = [word for word in asked if word in said]
        form = rng.choice(("Which of these words are said: {}?", "List those that you hear: {}"))
        return Exercise(" ".join(said), form.format(", ".join(asked)), ", ".join(heard) or "none")

    def _choose(self, rng: random.Random, said: list[str]) -> Exercise:
        right = rng.choice(said)
        others = [word for word in self._some(rng, rng.randint(1, 7)) if word not in said]
        listed = rng.sample([right, *others], 1 + len(others))
        form = rng.choice(("Choose the one that is said: {}", "One of {} is mentioned. Which one?"))
        return Exercise(" ".join(said), form.format(", ".join(listed)), right)

    def _neighbours(self, rng: random.Random, said: list[str]) -> Exercise:
        place = rng.randrange(len(said) - 1)
        while said.count(said[place]) > 1 and place:
            place -= 1
        form = rng.choice(("Which word comes after {}?", 'What follows "{}"?'))
        return Exercise(" ".join(said), form.format(said[place]), said[place + 1])

    def _spell(self, rng: random.Random, said: list[str]) -> Exercise:
        if rng.random() < 0.5:
            word = rng.choice(said)
            return Exercise(" ".join(said), f"Spell {word}.", " ".join(word))
        letters = " ".join(self._word(rng))
        return Exercise(letters, rng.choice(self.copy_wordings), letters)

    def _count(self, rng: random.Random, said: list[str]) -> Exercise:
        return Exercise(" ".join(said), "How many words are said?", NUMBERS[min(len(said), len(NUMBERS) - 1)])

    def _ends(self, rng: random.Random, said: list[str]) -> Exercise:
        place, name = rng.choice(((0, "first"), (-1, "last"), (1, "second"), (-2, "last but one")))
        return Exercise(" ".join(said), f"What is the {name} word?", said[place])

    def _reorder(self, rng: random.Random, said: list[str]) -> Exercise:
        said = said[:6]
        form, ordered = rng.choice(
            (("Say it backwards.", said[::-1]), ("Sort the words by the alphabet.", sorted(said)))
        )
        return Exercise(" ".join(said), form, " ".join(ordered))

    def _format(self, rng: random.Random, said: list[str]) -> Exercise:
        numbered = " ".join(f"{number} {word}" for number, word in zip(NUMBERS[1:], said, strict=False))
        forms = {
            "Write the words with commas between them.": ", ".join(said),
            "Write every word twice.": " ".join(f"{word} {word}" for word in said),
            "Put the words in quotes.": " ".join(f'"{word}"' for word in said),
            "Number the words.": numbered,
        }
        form = rng.choice(list(forms))
        return Exercise(" ".join(said), form, forms[form])

    def _replace(self, rng: random.Random, said: list[str]) -> Exercise:
        """The two steps that a described label needs: find the word, answer with what it stands for."""
        asked = [*rng.sample(said, min(len(said), rng.randint(1, 3))), *self._some(rng, rng.randint(0, 2))]
        rng.shuffle(asked)
        rules = {word: self._word(rng) for word in asked}
        listed = ", ".join(f"{word}: {other}" for word, other in rules.items())
        if rng.random() < 0.5:
            return Exercise(" ".join(said), f"Replace {listed}", " ".join(rules.get(word, word) for word in said))
        answer = " ".join(rules[word] for word in said if word in rules)
        return Exercise(" ".join(said), f"What do the words stand for? {listed}", answer)

    def _correct(self, rng: random.Random, said: list[str]) -> Exercise:
        """Names that a listener may get wrong, spelled right in the instruction."""
        place = rng.randrange(len(said))
        name = "".join(rng.choice(SYLLABLES) for _ in range(3))
        heard = [*said[:place], _misheard(name, rng), *said[place + 1 :]]
        hints = [name, *("".join(rng.choice(SYLLABLES) for _ in range(3)) for _ in range(rng.randint(0, 2)))]
        rng.shuffle(hints)
        right = " ".join([*said[:place], name, *said[place + 1 :]])
        return Exercise(" ".join(heard), f"{rng.choice(self.copy_wordings)} Names: {', '.join(hints)}", right)

    def _chain(self, rng: random.Random, said: list[str]) -> Exercise:
        """Two questions on the same words, answered one after the other."""
        kinds = (self._search, self._which, self._neighbours, self._ends, self._count)
        first, second = (kind(rng, said) for kind in rng.sample(kinds, 2))
        form = rng.choice(("First: {} Then: {}", "{} And then: {}"))
        return Exercise(
            " ".join(said), form.format(first.instruction, second.instruction), f"{first.target}; {second.target}"
        )


def _misheard(name: str, rng: random.Random) -> str:
    """The same name with one vowel or consonant changed."""
    place = rng.randrange(len(name))
    letters = "aeiou" if name[place] in "aeiou" else "bdfglmnprst"
    return name[:place] + rng.choice([letter for letter in letters if letter != name[place]]) + name[place + 1 :]
