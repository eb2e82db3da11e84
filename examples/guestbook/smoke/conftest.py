"""What the smoke tests share: the target, and requests that try again."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

TRIES = 8
PAUSE_SECONDS = 0.1
Fetch = Callable[..., tuple[int, Any]]

# Proxies are for other machines; the target is reached directly.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture
def fetch() -> Fetch:
    """Send requests to the target; a 5xx answer is tried again, eight tries in all.

    Smoke tests ask whether a version works at all, and one lost answer must not stop a release. How often answers
    fail is another question, and the production steps put it to real traffic.
    """
    target = os.environ["SHIPWAY_TARGET"].rstrip("/")

    def send(path: str, entry: dict[str, str] | None = None) -> tuple[int, Any]:
        body = None if entry is None else json.dumps(entry).encode()
        request = urllib.request.Request(target + path, data=body, headers={"Content-Type": "application/json"})  # noqa: S310
        for left in reversed(range(TRIES)):
            try:
                with OPENER.open(request, timeout=5) as answer:
                    text = answer.read().decode()
                    is_json = answer.headers.get_content_type() == "application/json"
                    return answer.status, json.loads(text) if is_json else text
            except urllib.error.HTTPError as error:
                with error:
                    if error.code < 500 or not left:
                        return error.code, error.read().decode()
            time.sleep(PAUSE_SECONDS)
        raise AssertionError

    return send
