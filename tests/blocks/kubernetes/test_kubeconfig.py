"""Kubeconfigs: whose word counts, what it may say, and that the file that was looked at is the one that is read."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from blocks.errors import BadInput
from blocks.kubernetes.api.auth import Access, connect
from blocks.kubernetes.api.kubeconfig import read_kubeconfigs

OTHER = 65534
by_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder of another user")


def kubeconfig(name: str = "a", *, server: str = "https://h", **user: Any) -> dict[str, Any]:
    """Write one with one context."""
    return {
        "clusters": [{"name": name, "cluster": {"server": server}}],
        "users": [{"name": name, "user": user or {"token": f"token-{name}"}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }


def touching(mark: Path) -> dict[str, Any]:
    """Name a program that leaves a mark."""
    return {"apiVersion": "client.authentication.k8s.io/v1", "command": "touch", "args": [str(mark)], "interactiveMode": "Never"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the `~/.kube` of a worker without KUBECONFIG."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    (tmp_path / "home" / ".kube").mkdir(parents=True)
    return tmp_path / "home" / ".kube"


SECRET = "c2VjcmV0LXRva2Vu"
KUBECONFIGS = {
    "no YAML": f"users: [{{token: {SECRET}",
    "a list": f"- {SECRET}",
    "a word": SECRET,
    "no context": f"{{clusters: [], users: [{{name: a, user: {{token: {SECRET}}}}}], contexts: [], current-context: a}}",
    "a bad certificate": (
        "{clusters: [{name: a, cluster: {server: 'https://h', certificate-authority-data: '" + SECRET + "A'}}], "
        "users: [{name: a, user: {}}], contexts: [{name: a, context: {cluster: a, user: a}}], current-context: a}"
    ),
}


@pytest.mark.parametrize("content", KUBECONFIGS.values(), ids=KUBECONFIGS)
def test_a_kubeconfig_that_cannot_be_read_is_not_quoted(content: str) -> None:
    """The message says where to look and what to give, and holds nothing of the secret."""
    with pytest.raises(BadInput, match="kubectl config view --raw") as caught:
        connect(Access(config=content))
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_context_that_is_not_there_is_named() -> None:
    """Where the kubeconfig is right and the context is not, the context is the fault."""
    content = (
        "{clusters: [{name: a, cluster: {server: 'https://h'}}], users: [{name: a, user: {}}], "
        "contexts: [{name: a, context: {cluster: a, user: a}}], current-context: a}"
    )
    assert connect(Access(config=content)).configuration.host == "https://h"
    assert connect(Access(config=content, context="a")).configuration.host == "https://h"
    with pytest.raises(BadInput, match=r"no context elsewhere.*Name one that it has \(a\)") as caught:
        connect(Access(config=content, context="elsewhere"))
    assert caught.value.field == "context"


def test_a_kubeconfig_that_is_not_there_is_named() -> None:
    """The path is in the message."""
    with pytest.raises(BadInput, match="/nowhere/kubeconfig"):
        connect(Access(kubeconfig="/nowhere/kubeconfig"))


@pytest.mark.parametrize(
    "user",
    [
        {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "touch", "args": ["MARK"], "interactiveMode": "Never"}},
        {"auth-provider": {"name": "gcp", "config": {"cmd-path": "touch", "cmd-args": "MARK"}}},
        {"tokenFile": "/etc/hostname"},
    ],
    ids=["exec", "auth-provider", "tokenFile"],
)
def test_the_content_of_a_block_names_no_program_and_no_file_of_the_worker(user: dict[str, Any], tmp_path: Path) -> None:
    """Who can edit blocks would run it as the worker, or have the approval key sent to a server of their own."""
    mark = tmp_path / "mark"
    named = json.loads(json.dumps(user).replace("MARK", str(mark)))
    content = {
        "clusters": [{"name": "a", "cluster": {"server": "https://h"}}],
        "users": [{"name": "eve", "user": named}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "eve"}}],
        "current-context": "a",
    }
    with pytest.raises(BadInput, match=f"the user eve of the kubeconfig in config has {next(iter(user))}"):
        connect(Access(config=json.dumps(content)))
    assert not mark.exists()
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(content))
    with pytest.raises(
        BadInput, match=f"the user eve of the kubeconfig in {path} has {next(iter(user))}.*put it into a kubeconfig in ~/.kube"
    ):
        connect(Access(kubeconfig=f"{path}"))
    assert not mark.exists()


def test_a_file_counts_as_the_workers_own_only_where_the_operator_keeps_them(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log of a service, or a file of its repository, belongs to the worker's user as well; a link out of ~/.kube leads to such a file."""
    mark, log = tmp_path / "mark", tmp_path / "service.log"
    for path in (log, folder / "clusters", folder / "config"):
        path.write_text(json.dumps(kubeconfig(exec=touching(mark))))
    (folder / "link").symlink_to(log)
    for path in ("~/.kube/config", str(folder / "clusters"), f"{folder}/../.kube/config"):
        connect(Access(kubeconfig=path))
        mark.unlink()
    for path in (str(log), str(folder / "link"), f"{folder}/../../service.log"):
        with pytest.raises(BadInput, match=r"the user a of the kubeconfig in .* has exec"):
            connect(Access(kubeconfig=path))
    with pytest.raises(BadInput, match=r"not all the worker's own.*Name one file"):
        connect(Access(kubeconfig=f"{folder / 'config'}:{log}"))
    assert not mark.exists()
    monkeypatch.setenv("KUBECONFIG", f"{folder / 'config'}:{log}")
    connect(Access(kubeconfig=str(log)))
    assert mark.exists()


def test_the_file_that_is_read_is_the_one_that_was_looked_at(folder: Path, tmp_path: Path) -> None:
    """A link turns between the operator's kubeconfig and a file that others wrote: its program never runs, whenever it turns."""
    mark, log, link, stopped = tmp_path / "mark", tmp_path / "service.log", tmp_path / "link", threading.Event()
    (folder / "config").write_text(json.dumps(kubeconfig()))
    log.write_text(json.dumps(kubeconfig(exec=touching(mark))))

    def turn() -> None:
        while not stopped.wait(0.0002):
            for target in (log, folder / "config"):
                (tmp_path / "next").symlink_to(target)
                (tmp_path / "next").replace(link)

    link.symlink_to(folder / "config")
    turning = threading.Thread(target=turn)
    turning.start()
    try:
        loaded = 0
        for _ in range(150):
            with contextlib.suppress(BadInput):
                connect(Access(kubeconfig=str(link)))
                loaded += 1
    finally:
        stopped.set()
        turning.join()
    assert not mark.exists()
    assert loaded, "the operator's own one loads"


def test_what_is_opened_is_opened_once_and_never_by_the_library(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is looked up twice can mean two files."""
    from kubernetes.config import kube_config  # noqa: PLC0415

    opened: list[str] = []
    real = os.open

    def count(path: Any, *more: Any, **options: Any) -> int:
        opened.append(str(path))
        return real(path, *more, **options)

    def refuse(_self: object, string: str) -> None:
        raise AssertionError(string)

    monkeypatch.setattr(os, "open", count)
    monkeypatch.setattr(kube_config.KubeConfigMerger, "_load_config_from_file_path", refuse)
    (folder / "config").write_text(json.dumps(kubeconfig()))
    for access in (Access(), Access(kubeconfig="~/.kube/config")):
        opened.clear()
        connect(access)
        assert [path for path in opened if path.endswith(".kube/config")] == [str(folder / "config")]


def test_kubeconfigs_of_the_worker_are_merged_as_kubectl_does(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one that has a name or a current context counts, and a missing file counts for nothing."""
    first, second = folder / "first", tmp_path / "second"
    first.write_text(json.dumps({**kubeconfig("a"), "current-context": ""}))
    more = kubeconfig("b", server="https://b")
    more["clusters"] += kubeconfig("a", server="https://evil")["clusters"]
    second.write_text(json.dumps(more))
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'missing'}:{first}:{second}")
    assert connect(Access()).configuration.host == "https://b"
    assert connect(Access(context="a")).configuration.host == "https://h"
    assert connect(Access(context="a")).configuration.api_key["BearerToken"] == "Bearer token-a"


def test_names_in_a_kubeconfig_start_in_its_folder(folder: Path, tmp_path: Path) -> None:
    """As kubectl does, for files and for a program in a folder; a link to the kubeconfig does not change them. A pipe is not waited for."""
    content = kubeconfig(**{"tokenFile": "token", "client-certificate": "/c.pem", "exec": {"command": "bin/login"}})
    content["clusters"][0]["cluster"]["certificate-authority"] = "ca.pem"
    (folder / "config").write_text(json.dumps(content))
    (tmp_path / "link").symlink_to(folder / "config")
    found = read_kubeconfigs(str(tmp_path / "link"))
    user = found["users"][0]["user"]
    assert found["clusters"][0]["cluster"]["certificate-authority"] == str(folder / "ca.pem")
    assert (user["tokenFile"], user["client-certificate"]) == (str(folder / "token"), "/c.pem")
    assert user["exec"]["command"] == str(folder / "bin/login")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match="is not a file"):
        connect(Access(kubeconfig=str(tmp_path / "pipe")))


@pytest.mark.parametrize(
    ("mode", "owner", "says"),
    [
        (0o755, None, ""),
        (0o1777, None, ""),
        (0o777, None, "can be written by every user"),
        pytest.param(0o755, (OTHER, OTHER), f"belongs to the user {OTHER}", marks=by_root),
        pytest.param(0o1777, (OTHER, OTHER), f"belongs to the user {OTHER}", marks=by_root),
        pytest.param(0o775, (-1, OTHER), f"can be written by the group {OTHER}", marks=by_root),
    ],
)
@pytest.mark.parametrize("way", ["{above}/config", "{above}/link", "{above}/inner/../config", "{above}/inner/link", "{link}"])
def test_a_kubeconfig_on_a_way_that_others_can_change_is_refused(
    folder: Path, tmp_path: Path, mode: int, owner: tuple[int, int] | None, says: str, way: str
) -> None:
    """They could let it lead to another file, wherever on the way they can do so, and wherever it leads now."""
    above, link = tmp_path / "above", tmp_path / "link"
    (above / "inner").mkdir(parents=True)
    for path in (folder / "config", above / "config"):
        path.write_text(json.dumps(kubeconfig()))
    (above / "link").symlink_to(folder / "config")
    (above / "inner" / "link").symlink_to("../link")
    link.symlink_to(above / "link")
    if owner is not None:
        os.chown(above, *owner)
    above.chmod(mode)
    named = Access(kubeconfig=way.format(above=above, link=link))
    if not says:
        assert connect(named).configuration.host == "https://h"
        return
    with pytest.raises(BadInput, match=f"can be changed by other users of this machine: {above} {says}"):
        connect(named)


@by_root
def test_a_link_of_another_user_is_not_followed(folder: Path, tmp_path: Path) -> None:
    """In /tmp, say, where others cannot replace what is ours, but can put what is theirs."""
    (folder / "config").write_text(json.dumps(kubeconfig()))
    tmp_path.chmod(0o1777)
    (tmp_path / "link").symlink_to(folder / "config")
    os.chown(tmp_path / "link", OTHER, OTHER, follow_symlinks=False)
    with pytest.raises(BadInput, match=f"link belongs to the user {OTHER}"):
        connect(Access(kubeconfig=str(tmp_path / "link")))


def test_a_link_that_leads_to_itself_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for the kernel."""
    (tmp_path / "link").symlink_to("link")
    monkeypatch.setattr(Path, "exists", lambda _: True)
    with pytest.raises(BadInput, match="cannot be read"):
        connect(Access(kubeconfig=str(tmp_path / "link")))


@by_root
@pytest.mark.parametrize(("mode", "owner"), [(0o666, (-1, -1)), (0o664, (-1, OTHER)), (0o600, (OTHER, -1))])
def test_a_kubeconfig_that_others_can_change_is_refused(tmp_path: Path, mode: int, owner: tuple[int, int]) -> None:
    """Wherever it is, and also if a group that is not the worker's own can."""
    path = tmp_path / "kubeconfig"
    path.write_text("{}")
    os.chown(path, *owner)
    path.chmod(mode)
    with pytest.raises(BadInput, match="can be changed by other users"):
        connect(Access(kubeconfig=f"{path}"))
