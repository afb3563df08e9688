"""English words that tell nothing of what a sentence is about: no keywords, no sign of a label."""

from __future__ import annotations

STOP_WORDS = frozenset(
    """a about after all also am an and any are as at be been before but by can can't could did do
    does don't for from get give go had has have he her here him his how i i'd i'll i'm i've if in
    into is isn't it it's its just let let's like may me might more my no nor not now of off on
    one or our out over please put shall she should so some somebody something tell than that
    that's the their them then there there's these they this those to too turn up us user want
    wants was we were what what's when where which while who whom whose why will with would yes
    you you're your""".split()
)
