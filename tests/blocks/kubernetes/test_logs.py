"""What of a pod's log is kept: moments, and no secrets that its manifest writes out."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import pytest

from blocks.kubernetes.objects.secrets import mask, secrets_of
from blocks.kubernetes.observe.logs import MOST_BYTES, moment_of, read
from blocks.kubernetes.workload import Target
from tests.blocks.kubernetes.fake_cluster import FakeCluster


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


def test_a_secret_is_masked_in_every_spelling_and_before_a_line_is_cut() -> None:
    """A line keeps its place; half a secret at the end of a long one is none."""
    secret = "hunter2/hunter2"
    lines = ["first", f"x{'y' * 1_990}{secret}", quote(secret, safe=""), base64.b64encode(f"a:{secret}".encode()).decode(), "last"]
    first, long, *spelled, last = mask(lines, [secret])
    assert (first, last, spelled) == ("first", "last", ["********", "********"])
    assert "hunter" not in long


def test_passwords_in_addresses_are_masked_without_being_known() -> None:
    """Whoever wrote them."""
    assert mask(["to postgres://shop:hunter22@db/shop", "at http://x/y:z"], []) == [
        "to postgres://shop:********@db/shop",
        "at http://x/y:z",
    ]


class Talking(FakeCluster):
    """A cluster of which one pod writes lines; as the API does, it cuts at `limitBytes` from the first line that was asked for."""

    def __init__(self, lines: list[str], *objects: dict[str, Any]) -> None:
        """Hold the lines."""
        super().__init__(*objects)
        self.lines, self.asked = lines, 0

    async def content(self, method: str, path: str, *, query: Mapping[str, str] | None = None, **_: Any) -> bytes:
        """Return the log."""
        del method, path
        asked = query or {}
        self.asked += 1
        return "".join(f"{line}\n" for line in self.lines[-int(asked["tailLines"]) :]).encode()[: int(asked["limitBytes"])]


def pod_of(**spec: Any) -> dict[str, Any]:
    """Write a pod."""
    return {"kind": "Pod", "metadata": {"name": "web-1"}, "spec": {"containers": [{"name": "web", "image": "shop/web:1", **spec}]}}


@pytest.mark.parametrize("length", [20, 9_000, 300_000])
async def test_the_newest_lines_are_those_that_are_kept(length: int) -> None:
    """However long they are: the last one is there, and no more is read than fits."""
    lines = [f"1970-01-01T00:00:{number % 60:02}Z {number} {'x' * length}" for number in range(300)]
    cluster = Talking(lines)
    found = await read(Target(cluster=cluster, workload="web"), {"1": [pod_of()]}, 0, limit=200)
    assert any(line["text"].startswith("299 ") for line in found)
    assert sum(len(line["text"]) for line in found) <= MOST_BYTES
    assert cluster.asked <= 9


@pytest.mark.parametrize("ending", ["", "y" * 400_000])
async def test_an_error_far_in_a_long_line_is_read(ending: str) -> None:
    """The first 64 kB of a line count, also of one that is longer than what is read at once."""
    cluster = Talking([f"1970-01-01T00:00:01Z {'x' * 60_000} ERROR orders lost {ending}"])
    (line,) = await read(Target(cluster=cluster, workload="web"), {"1": [pod_of()]}, 0, limit=200)
    assert "ERROR orders lost" in line["text"]
    assert len(line["text"]) <= 64 * 1024


async def test_what_the_secrets_hold_that_a_pod_names_is_masked() -> None:
    """Each line of a longer one, but no short words; a Secret that is not there, or may not be read, hides nothing."""
    held = base64.b64encode(b"first-line-of-key\nsecond-line\nabc").decode()
    secret = {"kind": "Secret", "metadata": {"name": "keys"}, "data": {"key": held, "odd": "%%%"}}
    cluster = Talking(["1970-01-01T00:00:01Z uses second-line and abc"], secret)
    pod = pod_of(envFrom=[{"secretRef": {"name": "keys"}}, {"secretRef": {"name": "gone"}}])
    (line,) = await read(Target(cluster=cluster, workload="web"), {"1": [pod]}, 0, limit=9)
    assert line["text"] == "uses ******** and abc"


async def test_a_secret_of_several_lines_in_the_manifest_is_masked_line_by_line() -> None:
    """What is printed keeps its lines, so that each keeps its moment."""
    pod = pod_of(env=[{"name": "PRIVATE_KEY", "value": "-----BEGIN-----\nfirst-line-of-key\nsecond-line\n"}])
    cluster = Talking([f"1970-01-01T00:00:0{second}Z {text}" for second, text in ((1, "first-line-of-key"), (2, "second-line"), (3, "on"))])
    found = await read(Target(cluster=cluster, workload="web"), {"1": [pod]}, 0, limit=9)
    assert [(line["at"], line["text"]) for line in found] == [(1, "********"), (2, "********"), (3, "on")]
