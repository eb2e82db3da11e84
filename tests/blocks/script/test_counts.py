"""Counts that a script prints."""

from __future__ import annotations

import pytest

from blocks.errors import BadInput, ShipwayError, Temporary
from blocks.script.counts import read_counts

PAGE = """# TYPE shipway_requests counter
shipway_requests_total{version="1.0"} 90
shipway_requests_created{version="1.0"} 1.7e9
shipway_request_errors_total{version="1.0"} 2
shipway_request_duration_seconds_bucket{version="1.0",le="0.5"} 80
shipway_request_duration_seconds_bucket{version="1.0",le="0.1"} 50
shipway_request_duration_seconds_sum{version="1.0"} 12.5
shipway_requests_total{version="1.1"} 10
shipway_request_errors_total{version="1.1"} 0
other_total{version="1.0"} 3
# EOF
"""


def test_requests_errors_and_latencies_are_read_by_version() -> None:
    """Buckets rise and end with all requests; without the counters' life a constant stands for it."""
    assert read_counts(PAGE) == {
        "1.0": {"started": "script 1.7e9", "requests": 90, "errors": 2, "buckets": {"0.1": 50, "0.5": 80, "+Inf": 90}},
        "1.1": {"started": "script 0", "requests": 10, "errors": 0, "buckets": {"+Inf": 10}},
    }
    assert list(read_counts(PAGE)["1.0"]["buckets"]) == ["0.1", "0.5", "+Inf"]
    assert read_counts("") == {}


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ('shipway_requests_total{version="1.2"} many', Temporary),
        ('shipway_requests_total{version="1.2"} -1', Temporary),
        ('shipway_requests_total{version="1.2"} 1.5', Temporary),
        ('shipway_requests_total{version="1.0"} 91', Temporary),
        ('shipway_requests_total{version=""} 1', Temporary),
        ("shipway_requests_total 1", Temporary),
        ('shipway_request_duration_seconds_bucket{version="1.0",le="fast"} 1', Temporary),
        ('shipway_requests_total{version="1.2"} 1', BadInput),
    ],
)
def test_what_is_not_a_count_is_no_data(line: str, error: type[ShipwayError]) -> None:
    """Never a wrong number, and never errors that are not told."""
    with pytest.raises(error):
        read_counts(f"{PAGE}{line}\n")
