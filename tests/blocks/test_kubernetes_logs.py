"""What of a pod's log is kept: moments, and no secrets that its manifest writes out."""

from __future__ import annotations

import pytest

from blocks.kubernetes_logs import mask, moment_of, secrets_of


@pytest.mark.parametrize(
    ("line", "at", "text"),
    [
        ("1970-01-01T00:00:01Z hello", 1.0, "hello"),
        ("1970-01-01T00:00:01.250000000Z hello  there", 1.25, "hello  there"),
        ("1970-01-01T02:00:01.5+02:00 hello", 1.5, "hello"),
        ("1970-01-01T00:00:01Z ", 1.0, ""),
        ("no stamp", 0.0, "no stamp"),
    ],
)
def test_a_line_is_split_into_its_moment_and_its_text(line: str, at: float, text: str) -> None:
    """Nanoseconds, other zones and empty lines; what has no stamp is kept without a moment."""
    assert moment_of(line) == (at, text)


def test_what_the_manifest_writes_out_under_a_secret_name_is_masked_everywhere() -> None:
    """The longest first, so that nothing of a longer one remains; too short ones would mask half of the log."""
    container = {
        "env": [
            {"name": "DB_PASSWORD", "value": "hunter22"},
            {"name": "API_TOKEN", "value": "hunter2234"},
            {"name": "CI_SECRET", "value": "no"},
            {"name": "LEVEL", "value": "debug"},
            {"name": "OTHER_TOKEN", "valueFrom": {"secretKeyRef": {"name": "x", "key": "y"}}},
        ]
    }
    secrets = secrets_of({"spec": {"initContainers": [container], "containers": [{}]}})
    assert secrets == ["hunter2234", "hunter22"]
    assert mask(["a hunter2234 b hunter22", "debug no"], secrets) == ["a ******** b ********", "debug no"]
