"""Bound codes: OCRA (RFC 6287), HMAC-SHA256 over a challenge, eight digits. A code answers one challenge and no other."""

from __future__ import annotations

import base64
import hmac

from pydantic import SecretStr

SUITE = "OCRA-1:HOTP-SHA256-8:QA16"
CODE_DIGITS = 8
QUESTION_BYTES = 128


def ocra(suite: str, secret: bytes, question: str, *, step: int | None = None) -> str:
    """Compute an OCRA response. Source: RFC 6287, sections 5 and 6; the truncation is that of RFC 4226, section 5.3.

    Args:
        suite: `OCRA-1:HOTP-<hash>-<digits>:QA<length>`, with `-T<step>` if it is timed.
        secret: The shared secret.
        question: The challenge, in ASCII.
        step: The time step, if the suite is timed.
    """
    _, function, _ = suite.split(":")
    _, hashed, digits = function.split("-")
    message = suite.encode() + b"\0" + question.encode("ascii").ljust(QUESTION_BYTES, b"\0")
    message += b"" if step is None else step.to_bytes(8, "big")
    mac = hmac.digest(secret, message, hashed.lower())
    start = mac[-1] & 15
    number = int.from_bytes(mac[start : start + 4], "big") & 0x7FFFFFFF
    return str(number)[-int(digits) :].rjust(int(digits), "0")


def code_of(secret: SecretStr, challenge: str) -> str:
    """Compute the code that answers a challenge.

    Args:
        secret: Base32 secret of the person.
        challenge: As shown, with or without its groups.
    """
    return ocra(SUITE, base64.b32decode(secret.get_secret_value()), challenge.replace("-", ""))


def is_code_of(secret: SecretStr, challenge: str, code: str) -> bool:
    """Return whether a code answers a challenge, in constant time."""
    return hmac.compare_digest(code_of(secret, challenge).encode(), code.encode(errors="replace"))
