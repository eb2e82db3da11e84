"""What may not reach a record, and how much may."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from blocks import secret_text
from blocks.secret_text import MASK
from tasks.rules.record.canonical import canonical
from tasks.rules.record.masking import EVIDENCE_LIMIT_BYTES, TEXT_LIMIT_BYTES, bounded, hide_in, mask, secrets_in_header


class Login(BaseModel):
    """Something with a secret in it."""

    name: str
    token: SecretStr


@pytest.mark.parametrize(
    "value",
    ["s3cr&t", ["a", {"b": "x s3cr&t y"}], {"s3cr&t": 1}, ("s3cr&t",), "https://host/?token=s3cr%26t", b"s3cr&t"],
)
def test_a_secret_is_masked_wherever_it_stands(value: Any) -> None:
    """Texts, members, keys, tuples and the form that URLs carry are all covered."""
    told = json.dumps(mask(value, ["s3cr&t"]))
    assert MASK in told
    assert "s3cr" not in told


@given(st.text(min_size=1), st.text(), st.text())
def test_no_secret_survives_between_other_texts(secret: str, before: str, after: str) -> None:
    """Whatever stands around it, the secret itself is gone unless the mask holds it."""
    assert secret in MASK or secret not in mask(before + secret + after, [secret]).replace(MASK, "\x00" if secret != "\x00" else "\x01")


def test_a_long_secret_is_masked_before_a_short_one_inside_it() -> None:
    """A part of a secret is not left standing."""
    assert mask("token-abc", ["token", "token-abc"]) == MASK


def test_a_secret_field_of_a_model_stays_secret() -> None:
    """Secrets of pydantic's own kind are masked without being named."""
    assert "hunter2" not in json.dumps(bounded({"login": Login(name="ada", token=SecretStr("hunter2"))}))


@pytest.mark.parametrize("value", [math.nan, math.inf, "\ud800", object(), {1, 2}, {3: b"x"}])
def test_anything_becomes_json_with_a_canonical_form(value: Any) -> None:
    """Evidence never fails to be written."""
    assert canonical(bounded({"value": value}))


def test_a_long_text_is_cut_with_a_note() -> None:
    """The cut says how long the text was."""
    cut = bounded({"log": "é" * TEXT_LIMIT_BYTES})["log"]
    assert len(cut.encode()) < TEXT_LIMIT_BYTES + 100
    assert cut.endswith(f"[cut: {2 * TEXT_LIMIT_BYTES} bytes in all]")


def test_evidence_that_is_too_large_as_a_whole_keeps_its_hash() -> None:
    """Many short texts are bounded too, and what was left out can be recognised."""
    kept = bounded({"lines": ["x" * 1_000] * (EVIDENCE_LIMIT_BYTES // 1_000)})
    assert set(kept) == {"cut", "sha256", "beginning"}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("Bearer s3cr&t", ["Bearer s3cr&t", "token s3cr&t", "token=s3cr%26t", "<p>s3cr&amp;t</p>", '"s3cr&t"']),
        ("Basic YWRhOnMzY3ImdA==", ["YWRhOnMzY3ImdA==", "ada:s3cr&t", "the password s3cr&t", "s3cr&amp;t"]),
        ("Basic s3cr&t", ["s3cr&t"]),
        (" s3cr&t ", ["s3cr&t"]),
    ],
)
def test_what_a_service_may_say_of_a_secret_header_is_masked(value: str, told: list[str]) -> None:
    """The credentials without their scheme, a Basic password, and how URLs and HTML write them."""
    masked = mask(told, secrets_in_header(value))
    assert all(MASK in text for text in masked)
    assert "s3cr" not in json.dumps(masked)
    assert "YWRh" not in json.dumps(masked)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("suspends_until", "2026-11-30T22:00:00+00:00"),
        ("not_before", "2026-11-30T22:00:00+00:00"),
        ("held_by", ["0123456789ab"]),
        ("environment", "production"),
        ("block", "kubernetes/shop-production"),
        ("identity", "kubernetes 0f3a9c21-b7aa"),
        ("version", "1.4.2"),
        ("act", "deploy 2026.11.2"),
        ("owners", ["0f3a9c21-b7aa"]),
        ("nonce", "5f0c9a1e7b"),
        ("opened", "2026-11-30T21:00:00+00:00"),
        ("freeze_over", "0123456789ab"),
        ("item", "backup"),
        ("left_out", "web-3"),
        ("ticks", [{"item": "backup", "did": "skipped", "evidence": "nothing to save"}]),
    ],
)
def test_what_decides_is_not_masked_by_a_secret_that_was_chosen_for_it(monkeypatch: pytest.MonkeyPatch, name: str, value: Any) -> None:
    """Whoever can edit a block can make its secret a moment, an environment or a block: these hold nothing from outside."""
    monkeypatch.setattr(secret_text, "_known", {_chosen(value)})
    assert hide_in({name: value, "log": value})[name] == value
    assert MASK in str(hide_in({"log": value})["log"])


def _chosen(value: Any) -> str:
    """Give the text that is made a secret."""
    first = value[0] if isinstance(value, list) else value
    return str(first["evidence"] if isinstance(first, dict) else first)
