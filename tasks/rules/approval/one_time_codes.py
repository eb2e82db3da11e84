"""One-time codes: TOTP (RFC 6238: HMAC-SHA1, 30-second steps, six digits), with one step of clock drift on each side."""

from __future__ import annotations

import hmac
from datetime import datetime

import pyotp
from pydantic import SecretStr

STEP_SECONDS = 30
DRIFT_STEPS = 1


def matching_counter(secret: SecretStr, code: str, *, at: datetime) -> int | None:
    """Find the time step of this code, with one step of drift on each side; None if there is none.

    Every step is compared, in constant time, so that timing reveals nothing. Source: RFC 6238, section 5.2.

    Args:
        secret: Base32 secret of the person.
        code: Six digits.
        at: When the code was given.
    """
    totp = pyotp.TOTP(secret.get_secret_value())
    here = int(at.timestamp()) // STEP_SECONDS
    steps = range(max(0, here - DRIFT_STEPS), here + DRIFT_STEPS + 1)
    given = code.encode(errors="replace")
    matches = [step for step in steps if hmac.compare_digest(totp.generate_otp(step).encode(), given)]
    return max(matches, default=None)
