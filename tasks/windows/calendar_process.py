"""Process that reads a calendar: `python -m tasks.windows.calendar_process ZONE SINCE UNTIL` writes the events of its standard input.

It is a separate process with bounds of its own, because a rule of recurrence that matches nothing keeps the library busy for hours.
It writes one JSON object: `spans`, each with its begin and end in seconds since 1970 and its title; and `digest`, or `wrong` instead.
"""

from __future__ import annotations

import json
import resource
import sys
from datetime import datetime

from blocks.errors import ShipwayError
from blocks.processes import limit
from tasks.rules.windows.ics import read_events

CPU_SECONDS = 10
MOST_MEMORY_BYTES = 1_000_000_000


def main(zone: str, since: str, until: str) -> None:
    """Read the calendar, and write what it says.

    Args:
        zone: Of times that name none, and of whole days.
        since: From when on, ISO.
        until: Until when.
    """
    content = sys.stdin.buffer.read()
    try:
        found = read_events(content, zone=zone, since=datetime.fromisoformat(since), until=datetime.fromisoformat(until))
    except Exception as error:  # noqa: BLE001 - the content is from outside
        wrong = str(error) if isinstance(error, ShipwayError) else f"it cannot be read ({type(error).__name__})"
        sys.stdout.write(json.dumps({"wrong": wrong}))
        return
    spans = [[int(one.begin.timestamp()), int(one.end.timestamp()), one.reason] for one in found.spans]
    sys.stdout.write(json.dumps({"spans": spans, "digest": found.digest}))


if __name__ == "__main__":
    limit((resource.RLIMIT_CPU, CPU_SECONDS), (resource.RLIMIT_AS, MOST_MEMORY_BYTES))
    main(*sys.argv[1:4])
