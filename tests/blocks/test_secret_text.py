"""No secret is left in a text, however it is spelled; and nothing else is hidden."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks import secret_text
from blocks.errors import BadInput, RolloutFailed
from blocks.outside_text import as_reason, error_text
from blocks.secret_text import MASK, hide, learn, mask_text
from tests.hostile_text import spellings, traces

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


@given(st.text(min_size=6), st.text(), st.text(), st.sampled_from(["plain", "percent", "json", "base64"]))
def test_any_secret_is_hidden_between_any_texts(secret: str, before: str, after: str, way: str) -> None:
    """Whatever stands beside it; in base64 with bytes before and after."""
    octets = [text.encode("utf-8", "replace") for text in (before, secret, after)]
    clean = octets[1].decode()
    spelled = {
        "plain": clean,
        "percent": quote(clean, safe=""),
        "json": json.dumps(clean)[1:-1],
        "base64": base64.b64encode(b"".join(octets)).decode(),
    }[way]
    hidden = mask_text(f"{before}\n{spelled}\n{after}", frozenset({clean}))
    assert clean in MASK or spelled not in hidden.replace(MASK, "")


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
