"""Which configuration pods were started with, and what of it changed."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from blocks.kubernetes.objects.config import (
    CONFIG_ANNOTATION,
    LONGEST_PARTS,
    PARTS_ANNOTATION,
    Configuration,
    changed_configuration,
    noted_on,
    read_configuration,
    suffix_of,
)
from blocks.kubernetes.preview.dry_run import preview
from blocks.kubernetes.preview.planned import planned
from blocks.kubernetes.workload import Target
from tests.blocks.kubernetes.fake_cluster import FakeCluster, service, template, workload

Json = dict[str, Any]


def reading(*names: str, annotations: dict[str, str] | None = None) -> Json:
    """Write a pod template that reads these Secrets, and the ConfigMap `web`."""
    found = template("1.0")
    found["metadata"].setdefault("annotations", {}).update(annotations or {})
    found["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": "web"}}, *({"secretRef": {"name": name}} for name in names)]
    return found


def secret(name: str = "web-db", *, uid: str = "u1", **values: str) -> Json:
    """Write a Secret."""
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {"kind": "Secret", "metadata": {"name": name, "uid": uid}, "data": data}


CONFIG = {"kind": "ConfigMap", "metadata": {"name": "web", "uid": "u0"}, "data": {"level": "info"}}
BEFORE = secret(user="ada", password="hush-1")


async def started_with(*objects: Json, names: tuple[str, ...] = ("web-db",)) -> Json:
    """Return a pod template that notes this configuration."""
    found = reading(*names)
    found["metadata"]["annotations"] |= noted_on(found, await read_configuration(FakeCluster(*objects), found))
    return found


@pytest.mark.parametrize(
    ("after", "lines"),
    [
        ([CONFIG, BEFORE], []),
        ([CONFIG, secret(user="ada", password="hush-2")], ["Secret web-db: password changed"]),
        ([CONFIG, secret(user="eve", token="hush-3")], ["Secret web-db: password was removed, token is new, user changed"]),
        ([CONFIG], ["Secret web-db: does not exist any more"]),
        ([{**CONFIG, "data": {"level": "debug"}}, BEFORE], ["ConfigMap web: level changed"]),
        ([{**CONFIG, "binaryData": {"icon": "aGk="}}, BEFORE], ["ConfigMap web: icon is new"]),
    ],
)
async def test_what_changed_is_named_by_object_and_key(after: list[Json], lines: list[str]) -> None:
    """And never by its content."""
    then = await started_with(CONFIG, BEFORE)
    now = await read_configuration(FakeCluster(*after), then)
    assert changed_configuration(then, now) == lines
    assert bool(suffix_of(then, now.hash)) == bool(lines)
    assert "hush" not in json.dumps([then, now])


async def test_a_preview_shows_a_rotated_secret() -> None:
    """What the version is called by, the preview explains; nothing else changes, and no content is shown."""
    then = await started_with(CONFIG, BEFORE)
    cluster = FakeCluster(workload(then), service(), CONFIG, secret(user="ada", password="hush-2"))
    now = await read_configuration(cluster, then)
    target = Target(cluster=cluster, workload="web", service="web", config=now.hash, config_parts=now.parts)
    assert target.version(workload(then)).startswith("1.0+config.")
    found = await preview(target, await planned(target, "rolling", "1.0"))
    assert found["changes"] == ["Secret web-db: password changed"]


async def test_objects_can_be_left_out_one_by_one() -> None:
    """Neither their content nor their absence counts, and who may not read them need not."""
    then = reading("web-db", "web-tls")
    both = [CONFIG, BEFORE, secret("web-tls", key="hush-4")]
    without = await read_configuration(FakeCluster(*both), then, ignored=["Secret/web-tls"])
    renewed = await read_configuration(FakeCluster(CONFIG, BEFORE, secret("web-tls", key="hush-5")), then, ignored=["Secret/web-tls"])
    assert without == renewed == await read_configuration(FakeCluster(*both[:2]), reading("web-db"))
    assert without.hash != (await read_configuration(FakeCluster(*both), then)).hash
    assert await read_configuration(FakeCluster(), reading(), ignored=["ConfigMap/web"]) == Configuration()
    noted = {**then, "metadata": {"annotations": noted_on(then, await read_configuration(FakeCluster(*both), then))}}
    assert changed_configuration(noted, without) == ["Secret web-tls: no longer counts"]


async def test_digests_help_no_one_to_guess_a_password() -> None:
    """The same value has another digest in every object: without reading the object its uid is not known."""
    one, other = [
        json.loads((await read_configuration(FakeCluster(CONFIG, secret(uid=uid, pin="1234")), reading("web-db"))).parts)
        for uid in ("a", "b")
    ]
    assert one["Secret/web-db"]["pin"] != other["Secret/web-db"]["pin"]
    assert one["ConfigMap/web"] == other["ConfigMap/web"]


async def test_an_object_that_was_made_anew_with_the_same_content_changes_no_template() -> None:
    """Else its pods would be replaced for nothing."""
    then = await started_with(CONFIG, BEFORE)
    anew = await read_configuration(FakeCluster(CONFIG, {**BEFORE, "metadata": {"name": "web-db", "uid": "u9"}}), then)
    assert changed_configuration(then, anew) == []
    assert noted_on(then, anew) == {name: then["metadata"]["annotations"][name] for name in (CONFIG_ANNOTATION, PARTS_ANNOTATION)}


@pytest.mark.parametrize("parts", [None, "", "[]", "nonsense", '{"Secret/web-db": 3}'])
async def test_parts_that_are_not_known_are_said_to_be(parts: str | None) -> None:
    """A change is never passed over, because it cannot be named."""
    then = reading("web-db", annotations={CONFIG_ANNOTATION: "0123456789", **({} if parts is None else {PARTS_ANNOTATION: parts})})
    (line, *_) = changed_configuration(then, await read_configuration(FakeCluster(CONFIG, BEFORE), then))
    assert "changed" in line or "read from now on" in line


async def test_thousands_of_keys_are_noted_by_object() -> None:
    """An annotation has bounds; the object is still named."""
    many = {**CONFIG, "data": {f"page-{number}.html": "x" for number in range(2_000)}}
    then = await started_with(many, BEFORE)
    assert len(then["metadata"]["annotations"][PARTS_ANNOTATION]) < LONGEST_PARTS
    now = await read_configuration(FakeCluster({**many, "data": {**many["data"], "page-7.html": "y"}}, BEFORE), then)
    assert changed_configuration(then, now) == ["ConfigMap web: its content changed"]


def test_what_was_never_noted_has_not_changed() -> None:
    """The first release of a workload notes its configuration, and says nothing of it."""
    assert changed_configuration(reading(), Configuration("0123456789", "{}")) == []
    assert noted_on(reading(), Configuration()) == {}
