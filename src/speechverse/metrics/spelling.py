"""British to American spelling by rule, for words that a listener cannot tell apart.

Whisper's normaliser takes a table of some 1,700 words that comes with a tokenizer's folder and so
is not always at hand. The same rule goes over both sides of a comparison, so one that also turns
"promise" into "promize" does no harm; no rule may make one of two different words ("filling" and
"filing" stay apart).
"""

from __future__ import annotations

import re
from functools import lru_cache

_OUR = (
    "arb ard arm behavi cand clam col demean endeav fav ferv flav harb hon hum lab neighb od parl"
    " ranc rig rum sav savi splend tum val vap vig"
)
_RE = "calib cent fib lit lust meag met mit och sab sepulch somb spect theat"
_DOUBLED = (
    "bevel cancel channel counsel cruel dial duel enamel equal fuel funnel grovel initial jewel"
    " kennel label level libel marvel model panel parcel pedal pencil quarrel ravel refuel rival"
    " shovel shrivel signal snivel swivel total travel tunnel unravel"
)
_LOGUE = "ana apo cata deca dia epi homo mono pro trave"
_WORDS = {
    "ageing": "aging", "aluminium": "aluminum", "axe": "ax", "cheque": "check", "cheques": "checks",
    "chequered": "checkered", "connexion": "connection", "cosy": "cozy", "disc": "disk",
    "discs": "disks", "draught": "draft", "draughts": "drafts", "enrol": "enroll",
    "enrols": "enrolls", "fulfil": "fulfill", "fulfils": "fulfills", "grey": "gray",
    "greys": "grays", "jewellery": "jewelry", "judgement": "judgment", "judgements": "judgments",
    "licence": "license", "licences": "licenses", "marvellous": "marvelous", "mould": "mold",
    "moulds": "molds", "moustache": "mustache", "mum": "mom", "mums": "moms", "plough": "plow",
    "ploughed": "plowed", "ploughs": "plows", "practise": "practice", "practised": "practiced",
    "practises": "practices", "practising": "practicing", "programme": "program",
    "programmes": "programs", "pyjamas": "pajamas", "sceptic": "skeptic", "sceptical": "skeptical",
    "skilful": "skillful", "sulphur": "sulfur", "tyre": "tire", "tyres": "tires",
    "wilful": "willful", "woollen": "woolen",
}  # fmt: skip


def _any(stems: str) -> str:
    return "|".join(stems.split())


_RULES = [
    (re.compile(pattern), american)
    for pattern, american in (
        (r"man(?:oeu|eu)v(?:re|er)", "maneuver"),
        (r"^an?aesth", lambda match: match[0].replace("ae", "e")),
        (r"^(encyclop|orthop|p|archa?|medi|h|an)ae(d|ol|val|m)", r"\1e\2"),
        (r"^(diarrh|f|ed|am|)oe(a|tus|tal|ma|ba|strogen)", r"\1e\2"),
        (rf"^(un|dis|mis|re|multi|tri|)({_any(_OUR)})our", r"\1\2or"),
        (rf"({_any(_RE)})re(s?)$", r"\1er\2"),
        (rf"({_any(_RE)})red$", r"\1ered"),
        (rf"^({_any(_DOUBLED)})l(ed|er|ers|est|ing|ings|or|ors)$", r"\1\2"),
        (rf"^({_any(_LOGUE)})logue(s?)$", r"\1log\2"),
        (r"^(def|off|pret)ence(s|d|less|)$", r"\1ense\2"),
        (r"^(\w{3,})is(ations?|ed?|ers?|es|ing)$", r"\1iz\2"),
        (r"^(anal|breathal|catal|electrol|hydrol|paral)ys(ed?|ers?|es|ing)$", r"\1yz\2"),
    )
]


@lru_cache(maxsize=50_000)
def american(word: str) -> str:
    """The word in American spelling, or as it is; lower case is expected."""
    if word in _WORDS:
        return _WORDS[word]
    for pattern, spelled in _RULES:
        word = pattern.sub(spelled, word)
    return word


class AmericanSpelling:
    """What Whisper's normaliser asks for: a mapping that is only ever looked up by `get`."""

    def get(self, word: str, default: str) -> str:
        """The word in American spelling; every word has one, so the default never stands."""
        return american(word)
