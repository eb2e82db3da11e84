"""No secret is left in a text, however it is spelled; and nothing else is hidden."""

from __future__ import annotations

import base64
import json
import re
import time

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from blocks import secret_text
from blocks.errors import BadInput, RolloutFailed
from blocks.outside_text import as_reason, error_text
from blocks.secret_text import MASK, hide, learn, mask_text
from blocks.text_codings import LAYERS, folded
from tests.hostile_text import DIGITS, ESCAPES, spellings, traces

SECRETS = ("Tr0ub4dor&3-xyz", "p\u00e4\"ss/w+\u00f6r&d <1&2>'x\\", "two words/=~", "0123456789abcdef")


@pytest.fixture(autouse=True)
def holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process hold no secret but those of the test."""
    monkeypatch.setattr(secret_text, "_known", set())


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_hidden_in_every_spelling(secret: str) -> None:
    """Alone and between other texts; nothing of eight characters is left of it."""
    learn([secret])
    for name, spelled in spellings(secret).items():
        text = as_reason(f"before {spelled} after")
        assert text.startswith("before "), name
        assert text.endswith(" after"), name
        assert MASK in text, name
        assert not [one for one in traces(secret) if one in text.lower()], (name, text)


WAYS = ESCAPES | DIGITS
ANY = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=6, max_size=40)
LOOKS_ESCAPED = st.lists(
    st.sampled_from([*"%&\\;u0041n\"'<>/+ x{}#\u00e9\u00df", "%41", "%25", "\\u0041", "&amp;", "&#65;", "\\n", "word"]), min_size=6
).map("".join)


def letters_of(secret: str) -> str:
    """Give what is looked for of a secret."""
    return folded(secret, len(LAYERS) - 1)


@settings(max_examples=60, deadline=None)
@given(
    ANY | LOOKS_ESCAPED, st.sampled_from(sorted(WAYS)), st.sampled_from([*sorted(ESCAPES), "base64", "base32", "hexadecimal with colons"])
)
def test_any_secret_is_hidden_in_any_two_ways_of_writing_it(secret: str, first: str, second: str) -> None:
    """One within the other; what stands beside it stays, and not a letter of it does."""
    assume(len(letters_of(secret)) >= 4 and len(secret) >= 6)
    assume(not ({"upper case", "swapped case"} & {second} and first.startswith("base64")))
    assume(not ({"zero width", "wrapped"} & {second} and first in DIGITS))
    assume(letters_of(secret.upper()) == letters_of(secret) == letters_of(secret.swapcase()))
    assume(secret == secret.strip())
    spelled = WAYS[second](WAYS[first](secret))
    hidden = mask_text(f"before: {spelled} :after", frozenset({secret}))
    assert hidden.startswith("before: ")
    assert hidden.endswith(" :after")
    assert MASK in hidden
    rest = letters_of(hidden[8:-7].replace(MASK, ""))
    assert not re.search(r"[^\W_]{2}", rest), (spelled, hidden)


@given(ANY | LOOKS_ESCAPED, st.text(), st.text(), st.sampled_from(["json", "json in ASCII", "percent", "html", "hexadecimal", "base64"]))
def test_any_secret_is_hidden_between_any_texts(secret: str, before: str, after: str, way: str) -> None:
    """Whatever stands beside it, which may look as if it belonged to it; in base64 with bytes before and after."""
    assume(len(letters_of(secret)) >= 4)
    spelled = WAYS[way](secret)
    if way == "base64":
        spelled = base64.b64encode(f"{before}{secret}{after}".encode("utf-8", "replace")).decode()
    hidden = mask_text(f"{before}\n{spelled}\n{after}", frozenset({secret}))
    assert secret in MASK or spelled not in hidden.replace(MASK, "")


@pytest.mark.parametrize("secret", ['S3cr#t/"pw+Zx9 qQ7&\u00e9<Lk%41', 'S3cr"t%41abcdef', 'pa"ss&amp;word1', '\\u0041\\"%25', "a'b\"c'd"])
@pytest.mark.parametrize("way", WAYS)
def test_a_secret_that_looks_escaped_itself_is_hidden(secret: str, way: str) -> None:
    """Its own `%41` is not taken for the text's."""
    assert MASK in mask_text(f"ERROR L5= {WAYS[way](secret)} in a fire", frozenset({secret}))


@pytest.mark.parametrize(
    "text",
    [
        "the deployment of shop in production was ordinary",
        "PRODUCTION and Production",
        "abcdef",  # a secret `abc"def` is longer: nothing that writes it leaves letters out
        "pass1, 1.2.3.4 and deadbeef",
        "YWJjZGVmZ2hpamtsbW5vcA== ORSXG5BAORSXG5BA 61:62:63:64:65:66:67 [97, 98, 99, 100, 101, 102]",
    ],
)
def test_words_like_a_secret_are_not_hidden(text: str) -> None:
    """What is shorter than it, and ordinary words in any case."""
    learn(["production", "Production", 'abc"def', "pa%73s1", "1.2.3.4.5.6", '"""""a'])
    assert hide(text) == text


def test_lines_stay_lines() -> None:
    """Who masks many lines at once gets as many back, also if a secret is wrapped."""
    assert mask_text("a correct-\nhorse\nb", frozenset({"correct-horse"})) == f"a {MASK}\n{MASK}\nb"


def test_secrets_that_are_alike_are_all_hidden() -> None:
    """One that differs by its quotes does not keep another from being found."""
    assert mask_text("correcthorse", frozenset({"correcthorse", "correct''horse", "CorrectHorse"})) == MASK


def test_a_short_secret_of_a_check_is_masked_letter_by_letter() -> None:
    """One below six characters hides neither its other case nor its letters apart."""
    assert mask_text('ab"c aB"c a b"c', frozenset({'ab"c'})) == f'{MASK} aB"c a b"c'


@pytest.mark.parametrize(
    "piece", ["%25", "\\", "&amp;", "a", "a ", "A2", "4a ", "0x", "7 ", "-", "\x1b[", "%", "\n", "\u00e9", "QUFB", "\\u00", "&#37;", "a+"]
)
def test_no_length_and_no_repetition_costs_time(piece: str) -> None:
    """A text that is twice as long takes about twice the time."""
    secrets = frozenset({"correct-horse-battery", "a" * 12, 'S3cr"t%41abcdef'})
    text = piece * (100_000 // len(piece))
    took = []
    for part in (text[:12_500], text):
        began = time.process_time()
        mask_text(part, secrets)
        took.append(time.process_time() - began)
    assert took[1] < 24 * took[0] + 0.5, took  # quadratic would be 64 times


@pytest.mark.parametrize("value", ["a", "12345", "", "production", "  x  "])
def test_short_values_and_ordinary_words_are_not_hidden(value: str) -> None:
    """A secret `a` would hide every a."""
    learn([value])
    assert hide("a 12345 production x") == "a 12345 production x"


@pytest.mark.parametrize("text", ["", "25 % of 1.4.2 go to the canary", "C:\\new\\table 100%25 &amp; 1+1", "\ud800 \x00", "YWJjZGVm" * 50])
def test_other_texts_stay_as_they_are(text: str) -> None:
    """Escapes too."""
    learn(SECRETS)
    assert hide(text) == text


def test_half_a_secret_at_a_cut_is_hidden() -> None:
    """Where a text was cut, half a secret is one, too."""
    learn(["correct-horse-battery"])
    assert hide("the password is correct-horse-b…") == f"the password is {MASK}…"
    assert hide("…ct-horse-battery is the password") == f"…{MASK} is the password"
    assert hide("it was corr…") == "it was corr…"


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        ("postgres://ada:hunter22%2Fx@db.example.org/shop", ["password hunter22/x", "hunter22%2Fx"]),
        ("Bearer abcdefghijkl", ["token abcdefghijkl"]),
        ("Basic YWRhOmh1bnRlcjIy", ["hunter22", "YWRhOmh1bnRlcjIy"]),
        ("-----BEGIN KEY-----\n" + "AbCdEfGh12345678" * 4 + "\n-----END KEY-----\n", ["AbCdEfGh12345678" * 4]),
        (json.dumps({"private_key": "k" * 40, "kind": "Config"}), ["k" * 40]),
    ],
)
def test_the_parts_of_a_secret_are_hidden_alone(secret: str, said: list[str]) -> None:
    """A password of an address, the credentials of a header, the lines of a key."""
    learn([secret])
    assert [hide(text) for text in said if MASK not in hide(text)] == []
    assert (
        hide("kind: Config of ada at db.example.org, -----BEGIN KEY-----") == "kind: Config of ada at db.example.org, -----BEGIN KEY-----"
    )

    rest = "kind: Config of ada at db.example.org, -----BEGIN KEY-----"
    assert hide(rest) == rest


def test_errors_carry_no_secret() -> None:
    """Ours clean their own words; those of others are cleaned where they are written down."""
    learn(["correct-horse"])
    ours = BadInput("it said correct-horse", field="url", fix="Look")
    assert "correct" not in f"{ours}{ours!r}"
    assert "correct" not in str(RolloutFailed("no", evidence=("log: correct-horse",)).evidence)
    assert "correct" not in error_text(OSError("correct-horse"))
