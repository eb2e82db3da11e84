"""What our commits say, and where they may write."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest

from blocks.errors import BadInput
from tasks.rules.gitops.edit import Edit
from tasks.rules.gitops.message import Change, check_change, check_path, message_of, revert_message_of
from tasks.rules.gitops.targets import YamlPath

CHANGE = Change(
    key="r1/production/promote",
    edits=(Edit("a.yaml", YamlPath("tag"), "1.1"),),
    service="shop",
    version="1.1",
    release="r1",
    digest="d1",
    approvers=("ann", "bob"),
    reason="the new basket",
    token=7,
)


def trailers(message: str) -> list[str]:
    """Let git itself read the trailers."""
    read = subprocess.run(["git", "interpret-trailers", "--parse"], input=message, text=True, capture_output=True, check=True)
    return read.stdout.splitlines()


def test_git_reads_the_trailers() -> None:
    """Release, service, version, digest, approvers, reason and token stand in the commit."""
    assert message_of(CHANGE).startswith("Deploy shop 1.1\n\n")
    assert trailers(message_of(CHANGE)) == [
        "Shipway-Change: r1/production/promote",
        "Shipway-Release: r1",
        "Shipway-Service: shop",
        "Shipway-Version: 1.1",
        "Shipway-Digest: d1",
        "Shipway-Approver: ann",
        "Shipway-Approver: bob",
        "Shipway-Reason: the new basket",
        "Shipway-Token: 7",
    ]


def test_a_revert_names_the_commit_that_it_undoes() -> None:
    """It has a key of its own, so that it is found again."""
    found = trailers(revert_message_of(CHANGE, "f" * 40))
    assert "Shipway-Change: r1/production/promote:revert" in found
    assert f"Shipway-Reverts: {'f' * 40}" in found


def test_no_reason_adds_a_trailer() -> None:
    """A line break in words from outside is a space."""
    found = trailers(message_of(replace(CHANGE, reason="x\nShipway-Change: other\r\n\nShipway-Token: 9")))
    assert [line for line in found if line.startswith("Shipway-Change")] == ["Shipway-Change: r1/production/promote"]
    assert [line for line in found if line.startswith("Shipway-Token")] == ["Shipway-Token: 7"]


PATHS = [
    "",
    "/etc/passwd",
    "../x",
    "a/../../x",
    "a/./b",
    "a//b",
    "a/",
    ".git/config",
    "a/.GIT/x",
    ".git./x",
    "git~1/x",
    "a\\b",
    "c:x",
    "a\nb",
]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_leaves_the_files_is_refused(path: str) -> None:
    """By its words alone."""
    with pytest.raises(BadInput, match="root of the repository"):
        check_path(path)


@pytest.mark.parametrize("path", ["a.yaml", "apps/shop/.values.yaml", "-x/ü.yaml"])
def test_a_plain_path_is_taken(path: str) -> None:
    """Letters of other alphabets and hidden files are files."""
    check_path(path)


@pytest.mark.parametrize("key", ["", "a b", "a\nb", "-a", "x" * 201])
def test_a_key_that_no_trailer_can_hold_is_refused(key: str) -> None:
    """It could not be found again."""
    with pytest.raises(BadInput, match="trailer"):
        check_change(replace(CHANGE, key=key))


def test_a_change_of_nothing_is_refused() -> None:
    """There is no empty commit."""
    with pytest.raises(BadInput, match="edits nothing"):
        check_change(replace(CHANGE, edits=()))
