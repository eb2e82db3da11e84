"""What of a pod's log is kept: moments, and no secrets that its manifest writes out."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import pytest

from blocks.errors import BadInput, ShipwayError
from blocks.kubernetes.api.errors import Missing
from blocks.kubernetes.objects.secrets import mask, secrets_of
from blocks.kubernetes.observe import logs
from blocks.kubernetes.observe.logs import MOST_BYTES, moment_of, read, tail_of
from blocks.kubernetes.workload import Target
from blocks.platform import LogLine
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

    def __init__(self, lines: list[str], *objects: dict[str, Any], refuses: ShipwayError | None = None) -> None:
        """Hold the lines, or why they are not given."""
        super().__init__(*objects)
        self.lines, self.asked, self.refuses = lines, 0, refuses

    async def content(self, method: str, path: str, *, query: Mapping[str, str] | None = None, **_: Any) -> bytes:
        """Return the log."""
        del method, path
        asked = query or {}
        self.asked += 1
        if self.refuses is not None:
            raise self.refuses
        return "".join(f"{line}\n" for line in self.lines[-int(asked.get("tailLines", 0)) :]).encode()[: int(asked["limitBytes"])]


def pod_of(**spec: Any) -> dict[str, Any]:
    """Write a pod that runs."""
    status = {"containerStatuses": [{"name": "web", "state": {"running": {}}}]}
    container = {"name": "web", "image": "shop/web:1", **spec}
    return {"kind": "Pod", "metadata": {"name": "web-1"}, "spec": {"containers": [container]}, "status": status}


async def lines_of(cluster: FakeCluster, *pods: dict[str, Any], since: float = 0) -> tuple[list[LogLine], dict[str, str]]:
    """Read the lines of pods of version 1, and what could not be read."""
    found: list[LogLine] = []
    return found, await read(Target(cluster=cluster, workload="web"), {"1": list(pods)}, since, found.append)


@pytest.mark.parametrize("length", [20, 9_000, 300_000])
async def test_the_last_lines_of_a_log_are_those_that_are_kept(length: int) -> None:
    """However long they are: the last one is there, and no more is read than fits."""
    cluster = Talking([f"{number} {'x' * length}" for number in range(300)])
    content = await tail_of(Target(cluster=cluster, workload="web"), "web-1", "web", lines=200)
    assert content.splitlines()[-1].startswith(b"299 ")
    assert len(content) <= MOST_BYTES
    assert cluster.asked <= 9


async def test_a_whole_log_is_read_and_what_is_beyond_the_bound_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that was logged long before the newest thousands of lines counts, too."""
    lines = [f"1970-01-01T00:00:{number % 60:02}Z line {number}" for number in range(20_000)]
    found, missing = await lines_of(Talking(lines), pod_of())
    assert ([line["text"] for line in found], missing) == ([f"line {number}" for number in range(20_000)], {})
    monkeypatch.setattr(logs, "MOST_SEARCHED_BYTES", 1_000)
    found, missing = await lines_of(Talking(lines), pod_of())
    assert found[0]["text"] == "line 0"
    assert missing["1"].startswith("the pod web-1 logged more than")


@pytest.mark.parametrize(("most", "texts"), [(32_000_000, ["0", "0", "1", "1"]), (60, ["0", "1", "0", "1"])], ids=["fits", "too much"])
async def test_lines_of_several_pods_of_a_version_come_in_order_of_time(
    monkeypatch: pytest.MonkeyPatch, most: int, texts: list[str]
) -> None:
    """As far as they fit into memory together; else one pod comes after the other, and nothing is left out."""
    lines = [f"1970-01-01T00:00:0{number}Z {number}" for number in range(2)]
    monkeypatch.setattr(logs, "MOST_SEARCHED_BYTES", most)
    found, missing = await lines_of(Talking(lines), pod_of(), pod_of())
    assert ([line["text"] for line in found], missing) == (texts, {})


async def test_a_pod_whose_log_cannot_be_read_is_said_and_one_that_has_none_yet_is_not() -> None:
    """Missing rights are no data; a container that was not started yet has nothing to say."""
    found, missing = await lines_of(Talking([], refuses=BadInput("robot may not get pods/log", field="access", fix="")), pod_of())
    assert (found, missing) == ([], {"1": "the log of the pod web-1 could not be read: access: robot may not get pods/log. "})
    assert await lines_of(Talking([], refuses=Missing("it does not exist")), pod_of()) == ([], {})
    waiting = {**pod_of(), "status": {"containerStatuses": [{"name": "web", "state": {"waiting": {}}}]}}
    assert await lines_of(Talking(["1970-01-01T00:00:01Z a"]), waiting) == ([], {})


@pytest.mark.parametrize("ending", ["", "y" * 400_000])
async def test_an_error_far_in_a_long_line_is_read(ending: str) -> None:
    """The first 64 kB of a line count, also of one that is longer than what is read at once."""
    cluster = Talking([f"1970-01-01T00:00:01Z {'x' * 60_000} ERROR orders lost {ending}"])
    (line,), _ = await lines_of(cluster, pod_of())
    assert "ERROR orders lost" in line["text"]
    assert len(line["text"]) <= 64 * 1024


async def test_what_the_secrets_hold_that_a_pod_names_is_masked() -> None:
    """Each line of a longer one, but no short words; a Secret that is not there, or may not be read, hides nothing."""
    held = base64.b64encode(b"first-line-of-key\nsecond-line\nabc").decode()
    secret = {"kind": "Secret", "metadata": {"name": "keys"}, "data": {"key": held, "odd": "%%%"}}
    cluster = Talking(["1970-01-01T00:00:01Z uses second-line and abc"], secret)
    pod = pod_of(envFrom=[{"secretRef": {"name": "keys"}}, {"secretRef": {"name": "gone"}}])
    (line,), _ = await lines_of(cluster, pod)
    assert line["text"] == "uses ******** and abc"


async def test_a_secret_of_several_lines_in_the_manifest_is_masked_line_by_line() -> None:
    """What is printed keeps its lines, so that each keeps its moment."""
    pod = pod_of(env=[{"name": "PRIVATE_KEY", "value": "-----BEGIN-----\nfirst-line-of-key\nsecond-line\n"}])
    cluster = Talking([f"1970-01-01T00:00:0{second}Z {text}" for second, text in ((1, "first-line-of-key"), (2, "second-line"), (3, "on"))])
    found, _ = await lines_of(cluster, pod)
    assert [(line["at"], line["text"]) for line in found] == [(1, "********"), (2, "********"), (3, "on")]


@pytest.mark.parametrize("ends", ["\r", "\f", "\x85", "\u2028"])
async def test_what_follows_another_end_of_a_line_is_read_too(ends: str) -> None:
    """A progress bar returns to the beginning of its line; what stands behind has the moment of the line."""
    found, _ = await lines_of(Talking([f"1970-01-01T00:00:05Z INFO ok{ends}ERROR orders are lost"]), pod_of(), since=4)
    assert [(line["at"], line["text"]) for line in found] == [(5, "INFO ok"), (5, "ERROR orders are lost")]


@pytest.mark.parametrize("length", [100, 100_000, 3_000_000])
async def test_lines_in_which_secrets_are_looked_for_too_long_are_left_out_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    """Whatever ten pods log, their lines are handed over in time; what was found until then counts."""
    masked: list[int] = []

    def slow_mask(lines: list[str], secrets: list[str], *, limit: int) -> list[str]:
        masked.append(sum(map(len, lines)))
        time.sleep(0.6)
        return mask(lines, secrets, limit=limit)

    monkeypatch.setattr(logs, "mask", slow_mask)
    monkeypatch.setattr(logs, "MOST_HANDING_SECONDS", 0.5)
    lines = [f"1970-01-01T00:00:01Z {'x ' * (length // 2)}"] * max(2, 500_000 // length)
    found, missing = await lines_of(Talking(lines), *[pod_of()] * 10)
    assert found
    assert len(masked) == 1
    assert masked[0] <= logs.CHARACTERS_AT_ONCE + logs.LINE_LIMIT
    assert missing == {"1": "the lines of 1 take longer than 0.5 s to read; the rest was not read"}


@pytest.mark.parametrize("letters", [7, 11, 15])
async def test_no_half_of_a_secret_is_left_where_an_endless_line_is_cut(monkeypatch: pytest.MonkeyPatch, letters: int) -> None:
    """What stands before it is masked, too, and becomes short by that; the lines around it stay as they are."""
    secret, stamp = "hunter22hunter22", "1970-01-01T00:00:01Z "
    monkeypatch.setattr(logs, "LINE_LIMIT", 1_000)
    digits = base64.b64encode((secret * 100).encode()).decode()[: 1_000 - len(stamp) - 2 - letters]
    cluster = Talking([f"{stamp}first", f"{stamp}{digits} {secret}{'y' * 9_000}", f"{stamp}last"])
    found, _ = await lines_of(cluster, pod_of(env=[{"name": "DB_PASSWORD", "value": secret}]))
    assert [line["text"] for line in found] == ["first", "******** ********…", "last"]


async def test_a_version_of_which_no_more_lines_are_wanted_is_not_read_on() -> None:
    """Those of other versions are handed over all the same."""
    cluster, found = Talking([f"1970-01-01T00:00:01Z {number}" for number in range(3)]), list[LogLine]()

    def take(line: LogLine) -> bool:
        found.append(line)
        return line["version"] == "1"

    await read(Target(cluster=cluster, workload="web"), {"1": [pod_of()], "2": [pod_of()]}, 0, take)
    assert [(line["version"], line["text"]) for line in found] == [("1", "0"), ("2", "0"), ("2", "1"), ("2", "2")]
