"""`shipway approvers` against a server that shows what others wrote, or does not answer."""

from __future__ import annotations

import argparse
import contextlib
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from blocks.approvers.approvers import Approvers
from blocks.approvers.signers import add_signer, signers_path
from blocks.errors import BadInput, Temporary
from flows.commands import approvers
from flows.commands.approvers import REFUSED
from tasks.lifecycle import server as servers
from tasks.rules.approval.statement import NAMESPACE

SHOWN: dict[str, Any] = {
    "text for the entries": {"enrolled": "x"},
    "a list for the entries": {"enrolled": ["ada"]},
    "no entries": {},
    "nothing for an entry": {"enrolled": {"ada": None}},
    "an object for an entry": {"enrolled": {"ada": {"a": 1}}},
    "half a letter": {"enrolled": {"ada": "\ud800"}},
    "another entry": {"enrolled": {"ada": "\u00fc"}},
    "a server that does not answer": BadInput("does not answer", field="PREFECT_API_URL", fix="Start one"),
    "a server that restarts": Temporary("restarting"),
    "a fault of its own": RuntimeError("block type missing"),
}


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Approvers]:
    """Keep the key in a folder of the test; gives the blocks that are saved."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    found: list[Approvers] = []

    async def save(block: Approvers, _: str) -> None:
        found.append(block)

    monkeypatch.setattr(approvers, "_save", save)
    return found


def answers(shown: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server show a block, or fail."""

    @contextlib.asynccontextmanager
    async def server() -> AsyncIterator[Any]:
        if isinstance(shown, Exception):
            raise shown

        async def read(*_: Any, **__: Any) -> Any:
            return SimpleNamespace(data=shown)

        yield SimpleNamespace(read_block_document_by_name=read)

    monkeypatch.setattr(servers, "server", server)


async def run(*words: str) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser()
    approvers.configure(parser)
    return await approvers.manage(parser.parse_args(words))


def make_ssh_key(path: Path) -> None:
    """Make a pair of keys."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)


@pytest.mark.parametrize("shown", SHOWN.values(), ids=SHOWN)
async def test_a_removal_revokes_before_it_asks_the_server_whatever_that_answers(
    shown: Any, saved: list[Approvers], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who has the API's password must not keep a secret counting; what the block still shows is said."""
    block = Approvers()
    block.enrol("ada")
    answers(shown, monkeypatch)
    assert await run("remove", "ada") == 0
    assert block.readable() == {}
    assert [one.enrolled for one in saved] == ([] if isinstance(shown, Exception) else [{}])
    assert ("may still show an entry of ada" in capsys.readouterr().out) is isinstance(shown, Exception)


@pytest.mark.parametrize("shown", SHOWN.values(), ids=SHOWN)
async def test_a_replaced_secret_is_revoked_before_the_server_is_asked_and_a_broken_block_is_begun_anew(
    shown: Any, saved: list[Approvers], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A lost secret counts no more, also if the new one cannot be stored; entries of others that can be read stay."""
    block = Approvers()
    for name in ("ada", "bob"):
        block.enrol(name)
    lost, bob = block.enrolled["ada"], block.enrolled["bob"].get_secret_value()
    if isinstance(shown, dict) and isinstance(shown.get("enrolled"), dict):
        shown = {"enrolled": {**shown["enrolled"], "bob": bob}}
    answers(shown, monkeypatch)
    with contextlib.suppress(Temporary, RuntimeError):
        await run("add", "ada", "--replace", "--write", str(tmp_path / "secret"))
    assert list(Approvers(enrolled={**block.enrolled, "ada": lost}).readable()) == ["bob"]
    assert [list(one.readable()) for one in saved] == (
        [] if isinstance(shown, Exception) else [["ada", "bob"] if "bob" in str(shown) else ["ada"]]
    )


async def test_a_name_that_has_nothing_is_not_removed(saved: list[Approvers], monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the server's own fault is said: nothing was done."""
    answers(SHOWN["a server that does not answer"], monkeypatch)
    assert await run("remove", "ada") == 2
    assert saved == []


async def test_a_file_for_the_secret_that_is_a_link_to_nowhere_is_refused_before_anything_is_revoked(
    saved: list[Approvers], tmp_path: Path
) -> None:
    """As a neighbour may lay one in /tmp: the secret would be written nowhere, and the one before would count no more."""
    block = Approvers()
    block.enrol("ada")
    (tmp_path / "secret").symlink_to(tmp_path / "nowhere")
    assert await run("add", "ada", "--replace", "--write", str(tmp_path / "secret")) == 2
    assert list(block.readable()) == ["ada"]
    assert saved == []


@pytest.mark.usefixtures("saved")
async def test_a_file_for_the_secret_that_is_made_meanwhile_is_not_said_to_have_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is refused, with what makes another secret."""
    path, block = tmp_path / "secret", Approvers()

    async def load(*_: Any) -> Approvers:
        path.write_text("of others")
        return block

    answers({}, monkeypatch)
    monkeypatch.setattr(approvers, "_load", load)
    assert await run("add", "ada", "--write", str(path)) == REFUSED
    said = capsys.readouterr()
    assert "The secret is in" not in said.out
    assert "shipway approvers add ada --replace" in said.err
    assert path.read_text() == "of others"


async def test_a_removal_that_a_pattern_refuses_says_that_the_secret_was_revoked_all_the_same(
    saved: list[Approvers], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who reads "refused" must not believe that nothing was changed."""
    block = Approvers()
    block.enrol("ada")
    make_ssh_key(tmp_path / "key")
    add_signer("eve", tmp_path / "key.pub", namespace=NAMESPACE)
    signers_path().write_text(signers_path().read_text().replace("eve", "*"))
    assert await run("remove", "ada") == REFUSED
    assert block.readable() == {}
    said = capsys.readouterr().err
    assert "The secret for codes that ada had does not count any more" in said
    assert "matches a pattern" in said
    assert saved == []
