"""The client against a real API server: many calls at once, ways in, and an API server that goes away in the middle."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from kubernetes.config import incluster_config

from blocks.errors import BadInput, Temporary
from blocks.kubernetes.api.auth import Access, connect
from blocks.kubernetes.api.client import APPLY, JSON_PATCH, MERGE_PATCH, Cluster
from blocks.kubernetes.api.errors import Changed, Missing, Owned
from blocks.kubernetes.api.watch import Source, watch_until
from tests.cluster.accounts import account_config, token
from tests.cluster.cluster_world import World, deployment, service
from tests.cluster.cut_line import line_to

pytestmark = pytest.mark.cluster


async def test_many_calls_and_watches_at_once_keep_the_loop_free_and_the_log_quiet(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A hundred calls beside ten watches block no one and cost no warning about connections."""
    ticks = 0

    async def watch_the_loop() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    watcher = asyncio.create_task(watch_the_loop())
    watches = [
        asyncio.create_task(watch_until(world.cluster, [Source("pods", "Pod")], lambda _: None, timeout_seconds=30)) for _ in range(10)
    ]
    with caplog.at_level("WARNING"):
        await asyncio.gather(*(world.cluster.list("Service") for _ in range(100)))
    for task in (watcher, *watches):
        task.cancel()
    await asyncio.gather(watcher, *watches, return_exceptions=True)
    assert ticks > 3
    assert not caplog.records


async def test_what_is_not_there_is_none_and_a_patch_of_it_says_so(world: World) -> None:
    """Reading asks a question; changing takes the object for granted."""
    assert await world.cluster.read("Deployment", "absent") is None
    with pytest.raises(Missing, match="does not exist"):
        await world.cluster.patch("Deployment", "absent", [], content_type=JSON_PATCH)


async def test_an_object_that_someone_changed_is_neither_overwritten_nor_deleted(world: World) -> None:
    """Both say that it is not the one that was read."""
    await world.apply(service("podinfo"))
    read = await world.cluster.read("Service", "podinfo")
    assert read is not None
    await world.merge("Service", "podinfo", {"metadata": {"labels": {"touched": "yes"}}})
    same = {"op": "replace", "path": "/metadata/resourceVersion", "value": read["metadata"]["resourceVersion"]}
    with pytest.raises(Changed):
        await world.cluster.patch("Service", "podinfo", [same], content_type=JSON_PATCH)
    with pytest.raises(Changed):
        await world.cluster.delete("Service", read)
    now = await world.cluster.read("Service", "podinfo")
    assert now is not None
    await world.cluster.delete("Service", now)
    await world.cluster.delete("Service", now)


async def test_a_write_that_was_sent_is_over_before_its_cancellation_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is cancelled writes nothing later: what comes next, as the rollback, has the place to itself."""
    await world.apply(service("podinfo"))
    begun, send = threading.Event(), Cluster.send

    def slow(*positional: Any, **named: Any) -> Any:
        begun.set()
        time.sleep(0.2)
        return send(*positional, **named)

    monkeypatch.setattr(Cluster, "send", slow)
    labels = {"metadata": {"labels": {"written": "yes"}}}
    writing = asyncio.create_task(world.cluster.patch("Service", "podinfo", labels, content_type=MERGE_PATCH))
    await asyncio.to_thread(begun.wait)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    monkeypatch.undo()
    read = await world.cluster.read("Service", "podinfo")
    assert read is not None
    assert read["metadata"]["labels"] == {"written": "yes"}


async def test_fields_of_another_manager_are_not_taken_unless_asked_for(world: World) -> None:
    """The conflict names the field and its manager; a dry run that forces shows what it would be."""
    await world.podinfo(ready=False)
    ours = deployment("podinfo", "6.9.1")
    with pytest.raises(Owned, match="belong to kubectl") as caught:
        await world.cluster.patch("Deployment", "podinfo", ours, content_type=APPLY)
    assert caught.value.managers == ("kubectl",)
    assert "image" in str(caught.value)
    tried = await world.cluster.patch("Deployment", "podinfo", ours, content_type=APPLY, force=True, dry_run=True)
    assert tried["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":6.9.1")
    left = await world.cluster.read("Deployment", "podinfo")
    assert left is not None
    assert left["spec"]["template"]["spec"]["containers"][0]["image"].endswith(":6.9.0")


async def test_an_invalid_manifest_names_its_field(world: World) -> None:
    """What a person must fix is not tried again."""
    wrong = deployment("podinfo", "6.9.0", change={"replicas": -1})
    with pytest.raises(BadInput, match="replicas"):
        await world.cluster.patch("Deployment", "podinfo", wrong, content_type=APPLY)


async def test_an_api_server_that_is_away_is_temporary_and_soon_told(world: World) -> None:
    """Reads and writes over connections that broke, or that are refused, can be tried again."""
    async with line_to(world.cluster) as line:
        await line.cluster.list("Service")
        line.open = False
        line.cut()
        began = time.monotonic()
        for ask in (
            line.cluster.list("Service"),
            line.cluster.patch("Service", "web", {}, content_type=APPLY),
            line.cluster.call("POST", line.cluster.path("Service"), body={}),
        ):
            with pytest.raises(Temporary, match="does not answer"):
                await ask
        assert time.monotonic() - began < 5
        line.open = True
        assert await line.cluster.list("Service") == []


async def test_an_api_server_that_is_silent_is_given_up_soon(world: World) -> None:
    """A server that takes connections and never says a word costs ten seconds, not four times as many."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = json.loads(await account_config(world))
        config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(Temporary, match="does not answer"):
            await Cluster(connect(Access(config=json.dumps(config))), world.namespace).list("Service")
        assert time.monotonic() - began < 13


async def test_a_pod_reaches_its_cluster_by_its_own_account(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any kubeconfig, the token and the authority that a Pod is given suffice; without them the fix says what to give."""
    config = json.loads(await account_config(world))
    server = config["clusters"][0]["cluster"]["server"].removeprefix("https://")
    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.setenv("HOME", str(tmp_path))
    host, _, port = server.rpartition(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host.strip("[]"))
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    with pytest.raises(BadInput, match="or run inside the cluster"):
        connect(Access())
    (tmp_path / "token").write_text(await token(world))
    authority = world.cluster.api.configuration.ssl_ca_cert
    if not authority:
        pytest.skip("this kubeconfig has no file of its certificate authority, which a Pod would have")
    await asyncio.to_thread(shutil.copy, authority, tmp_path / "ca.crt")
    assert await Cluster(connect(Access()), world.namespace).list("Deployment") == []
