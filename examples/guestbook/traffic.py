"""Traffic for the guestbook: `python traffic.py URL --rate 40 --seconds 30`, or `--until-killed`.

Requests start on a fixed schedule whatever the answers do, at most 16 at a time; the counts by status come at the end.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import signal
import sys
import threading
import time
import urllib.parse
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

MAX_AT_ONCE = 16
TIMEOUT_SECONDS = 5.0
OPEN = threading.local()
ENTRY = {"name": "traffic", "text": "hello"}
MIX = ["/", "/entries"] * 9 + ["/", "sign"]


def ask(url: str, what: str) -> str:
    """Send one request over this thread's open connection and return its status, or the kind of failure."""
    body = json.dumps(ENTRY).encode() if what == "sign" else None
    place = urllib.parse.urlsplit(url)
    connection = getattr(OPEN, "connection", None) or http.client.HTTPConnection(place.hostname, place.port, timeout=TIMEOUT_SECONDS)
    OPEN.connection = connection
    try:
        connection.request("POST" if body else "GET", "/entries" if body else what, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException, ValueError) as error:
        connection.close()
        OPEN.connection = None
        return type(error).__name__
    return str(answer.status)


def run(url: str, rate: float, seconds: float, stop: threading.Event) -> Counter[str]:
    """Send `rate` requests a second for so many seconds, or until `stop` is set."""
    counts: Counter[str] = Counter()
    free = threading.Semaphore(MAX_AT_ONCE)
    lock = threading.Lock()

    def one(what: str) -> None:
        status = ask(url, what)
        free.release()
        with lock:
            counts[status] += 1

    begun = time.monotonic()
    with ThreadPoolExecutor(MAX_AT_ONCE) as pool:
        for number, what in enumerate(itertools.cycle(MIX)):
            due_seconds = number / rate
            if due_seconds >= seconds or stop.wait(max(0.0, begun + due_seconds - time.monotonic())):
                break
            if free.acquire(blocking=False):
                pool.submit(one, what)
            else:
                with lock:
                    counts["not sent: too many at once"] += 1
    return counts


def main() -> int:
    """Read the options, run, print the counts."""
    parser = argparse.ArgumentParser(description="A steady stream of requests to the guestbook.")
    parser.add_argument("url", help="base URL: http://127.0.0.1:8001")
    parser.add_argument("--rate", type=float, default=40, help="requests a second, 0.1 to 500")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--seconds", type=float, help="how long")
    length.add_argument("--until-killed", action="store_true", help="until SIGTERM or Ctrl-C")
    arguments = parser.parse_args()
    if not 0.1 <= arguments.rate <= 500:
        parser.error("--rate: give 0.1 to 500 requests a second")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    counts = run(arguments.url.rstrip("/"), arguments.rate, arguments.seconds if arguments.seconds is not None else float("inf"), stop)
    print(f"{sum(counts.values())} requests:", ", ".join(f"{count} x {status}" for status, count in sorted(counts.items())) or "none")
    return 0


if __name__ == "__main__":
    sys.exit(main())
