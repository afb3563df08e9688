"""Error rates compare what is said, not how it is written, and each language by its own rules."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from speechverse.errors import UserError
from speechverse.metrics import (
    bootstrap,
    get_metric,
    normalize,
    normalize_english,
    normalizer_for,
    score,
)
from speechverse.metrics.hinted import hinted_word_errors
from speechverse.metrics.spelling import american


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("50%", "fifty percent"),
        ("50 %", "fifty per cent"),
        ("3.5", "three point five"),
        ("the 1st of May", "the first of may"),
        ("on the 21st", "on the twenty first"),
        ("$5", "five dollars"),
        ("£20", "twenty pounds"),
        ("$3.50", "three dollars and fifty cents"),
        ("2 million", "two million"),
        ("1,250", "one thousand two hundred fifty"),
        ("7", "seven"),
        ("007", "zero zero seven"),
        ("4 1 7", "four one seven"),
        ("4, 1, 7.", "four one seven"),
        ("at 7:30", "at seven thirty"),
        ("I’m sure it's 21 o'clock", "i am sure it is twenty one o'clock"),
        ("We won't, can't and don't", "we will not can not and do not"),
        ("uh, turn it on, um, please", "turn it on please"),
        ("the café (laughs)", "the cafe"),
        ("Mr. Smith", "mister smith"),
        ("the colour of the theatre's armour", "the color of the theater's armor"),
        ("", "uh"),
    ],
)
def test_english_is_alike_however_it_is_written(written: str, said: str) -> None:
    assert score(["wer"], [written], [said], ["en-GB"]) == {"wer": 0.0}
    assert normalize_english(written) == normalize_english(said)


@pytest.mark.parametrize(
    ("predicted", "true", "language"),
    [
        ("हाँ", "हो", "hi"),
        ("हाँ", "हो", None),
        ("हाँ", "हो", "en"),
        ("が", "か", None),
        ("кот", "кит", "ru"),
        ("их", "их й", "ru"),
        ("น้ำ", "นำ", "th"),
        ("كَتَبَ", "كُتِبَ", "ar"),
        ("schon", "schön", "de"),
        ("acht uhr", "um acht uhr", "de"),
        ("a", "um a", "pt"),
    ],
)
def test_other_languages_keep_marks_and_words_that_are_fillers_in_english(
    predicted, true, language
) -> None:
    assert score(["wer"], [predicted], [true], [language])["wer"] > 0
    assert score(["cer"], [predicted], [true], [language])["cer"] > 0
    assert score(["wer"], [true], [true], [language])["wer"] == 0


@pytest.mark.parametrize(
    ("written", "same", "language"),
    [
        ("¡Hola, señor!", "hola señor", "es"),
        ("Schön.", "scho\u0308n", "de"),
        ("मैं, हूँ।", "मैं हूँ", "hi"),
        ("ＡＢＣ、です。", "abc です", "ja"),
        ("İYİ IŞIK", "iyi ışık", "tr"),
        ("می‌خواهم", "میخواهم", "fa"),
    ],
)
def test_case_punctuation_and_the_form_of_signs_never_matter(
    written: str, same: str, language: str
) -> None:
    assert score(["wer"], [written], [same], [language])["wer"] == 0


@pytest.mark.parametrize("language", ["en", "de", None])
def test_text_between_angle_brackets_is_not_lost(language: str | None) -> None:
    assert normalize("say <hello there> now", language) == "say hello there now"
    assert normalize("a < b and c > d", language) == "a b and c d"


def test_nothing_an_endless_decoder_writes_stops_the_scoring() -> None:
    draw = random.Random(0)
    words = [
        "million",
        "point",
        "double",
        "and a half",
        "dollars",
        "$",
        "%",
        "oh",
        "first",
        "sixes",
        "minus",
    ]
    for more, texts in (
        (["9999"], 1500),
        (["9" * 5000], 150),
    ):  # thousands of digits take long, so fewer of them
        for _ in range(texts):
            normalize_english(" ".join(draw.choices([*words, *more], k=draw.randint(1, 8))))


def test_each_reference_goes_by_its_own_language() -> None:
    predictions, references, languages = (
        ["acht uhr", "eight o'clock"],
        ["um acht uhr", "um 8 o'clock"],
        ["de", "en"],
    )
    assert score(["wer"], predictions, references, languages)["wer"] == pytest.approx(1 / 5)
    assert bootstrap(
        "wer", predictions, references, num_samples=0, languages=languages
    ).value == pytest.approx(1 / 5)
    with pytest.raises(UserError, match="2 references and 1 languages"):
        score(["wer"], predictions, references, ["de"])


def test_in_scripts_without_spaces_each_letter_is_a_word() -> None:
    for said, true, language, rate in (
        ("今天天气很不好", "今天天气很好。", "zh", 1 / 6),
        ("我爱python吗", "我爱 Python 吗?", "zh", 0.0),
        ("コーヒーを二つ", "コーヒーを三つ", "ja", 1 / 7),
        ("ฉันรักเขา", "ฉันรักเธอ", "th", 2 / 7),
        ("감사 합니다", "감사합니다", "ko", 2.0),  # Korean has spaces
    ):
        assert score(["wer"], [said], [true], [language])["wer"] == pytest.approx(rate)
        assert hinted_word_errors([true], [true[:2]], [language])[0, 0] == (language == "ko")
    assert score(["cer"], ["今天"], ["今日"], ["zh"])["cer"] == 0.5


@pytest.mark.parametrize(
    ("said", "true", "language", "rate"),
    [
        ("你好世界今天天气很好", "你好，世界，今天天气很好。", "zh", 0.0),
        ("今日はいい天気ですね", "今日は、いい天気ですね。", "ja", 0.0),
        ("สวัสดีครับผม", "สวัสดี ครับ ผม", "th", 0.0),
        ("น้ำ ดี", "น้ำดี", "th", 0.0),
        ("我爱python三吗", "我爱 Python 三 吗?", "zh", 0.0),
        ("감사 합니다", "감사합니다", "ko", 1 / 5),  # Korean has spaces
    ],
)
def test_spaces_are_no_characters_of_scripts_without_them(said, true, language, rate) -> None:
    assert score(["cer"], [said], [true], [language])["cer"] == pytest.approx(rate)


def test_a_score_names_the_normalisers_it_stands_on() -> None:
    wer = get_metric("wer")
    assert wer.normalizers(["one", "two"], ["en", "en-US"]) == "english-2"
    assert (
        wer.normalizers(["one", "eins", "two"], ["en", "de", None])
        == "english-2 (2), unicode-2 (1)"
    )
    assert get_metric("accuracy").normalizers(["one"], ["en"]) == ""
    assert "english-2:transformers:" in wer.signature() and "unicode-2" in wer.signature()
    assert normalizer_for("oui", "fr").id == "unicode-2"


@pytest.mark.parametrize(
    "word", ["hour", "four", "filling", "prise", "wise", "sabre tooth", "rise", "data", "shore"]
)
def test_spelling_rules_leave_other_words_apart(word: str) -> None:
    for other in ("filing", "prize", "size", "shoer", "rize"):
        assert american(word) != american(other)


@pytest.mark.parametrize(
    ("british", "us"),
    [
        ("neighbourhoods", "neighborhoods"), ("honoured", "honored"), ("centre", "center"), ("centred", "centered"),
        ("kilometres", "kilometers"), ("realisation", "realization"), ("organised", "organized"),
        ("travelled", "traveled"), ("cancelling", "canceling"), ("counsellor", "counselor"), ("defence", "defense"),
        ("catalogue", "catalog"), ("analysed", "analyzed"), ("anaesthetic", "anesthetic"), ("anaemia", "anemia"),
        ("encyclopaedia", "encyclopedia"), ("manoeuvre", "maneuver"), ("foetus", "fetus"), ("grey", "gray"),
        ("archaeology", "archeology"), ("diarrhoea", "diarrhea"), ("haemoglobin", "hemoglobin"),
    ],
)  # fmt: skip
def test_british_and_american_spelling_are_one(british: str, us: str) -> None:
    assert american(british) == american(us)


def test_only_who_scores_english_loads_transformers() -> None:
    code = (
        "from speechverse.metrics import normalize; normalize('हाँ, हो', 'hi'); import sys;"
        " sys.exit('transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
