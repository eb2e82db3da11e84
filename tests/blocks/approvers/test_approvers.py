"""The approvers' block and the key beside it, with real files."""

from __future__ import annotations

import base64
import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from blocks.approvers.approvers import Approvers, revoke
from blocks.errors import BadInput, Refused
from blocks.key_folder.key_file import create_key, derive, key_path, read_key


@pytest.fixture(autouse=True)
def key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the key in a folder of the test."""
    path = tmp_path / "keys" / "approvals.key"
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(path))
    return path


@pytest.fixture
def approvers() -> Approvers:
    """Enrol two people."""
    block = Approvers()
    block.enrol("anna")
    block.enrol("ben")
    return block


def test_an_enrolled_person_has_the_secret_that_was_given() -> None:
    """What the person gets is what the block decrypts to: 280 random bits."""
    block = Approvers()
    secret = block.enrol("anna").get_secret_value()
    assert block.secret("anna").get_secret_value() == secret
    assert len(base64.b32decode(secret)) == 35
    assert Approvers().enrol("ben").get_secret_value() != secret


def test_what_the_server_gets_is_ciphertext() -> None:
    """Neither the block's document with all secrets shown, nor its repr, holds the secret."""
    block = Approvers()
    secret = block.enrol("anna").get_secret_value()
    document = block.model_dump(mode="json", context={"include_secrets": True})
    assert document["enrolled"]["anna"].startswith("gAAAA")
    assert secret not in json.dumps(document, default=str) + repr(block)
    assert "**********" in repr(block)


def test_the_key_is_made_with_no_one_else_able_to_read_it(approvers: Approvers, key_file: Path) -> None:
    """Mode 0600 in a folder of mode 0700."""
    assert approvers.names() == ["anna", "ben"]
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(key_file.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666])
def test_a_key_that_others_can_reach_is_refused(approvers: Approvers, key_file: Path, mode: int) -> None:
    """Group and world, reading and writing."""
    key_file.chmod(mode)
    with pytest.raises(Refused, match="chmod 600"):
        approvers.secret("anna")


@pytest.mark.parametrize("content", [b"", b"short", b"!" * 44, base64.b64encode(bytes(16))])
def test_a_file_that_is_not_a_key_is_refused(key_file: Path, content: bytes) -> None:
    """An empty or cut file must not become a weak key."""
    key_file.parent.mkdir()
    key_file.write_bytes(content)
    key_file.chmod(0o600)
    with pytest.raises(Refused, match="does not hold an approval key"):
        create_key(key_file)


def test_a_missing_key_is_refused_with_what_to_do(approvers: Approvers, key_file: Path) -> None:
    """Reading never makes a key: that would hide a lost one."""
    key_file.unlink()
    with pytest.raises(Refused, match="shipway approvers add"):
        approvers.secret("anna")
    assert not key_file.exists()


def test_a_foreign_key_is_refused(approvers: Approvers, key_file: Path) -> None:
    """Ciphertext of another key says so, and how to fix it."""
    key_file.unlink()
    create_key(key_file)
    with pytest.raises(Refused, match="not made under the key"):
        approvers.secret("anna")


def test_ciphertext_moved_to_another_name_is_refused(approvers: Approvers) -> None:
    """Who can write the block cannot give ben's app the name of anna."""
    approvers.enrolled = {**approvers.enrolled, "anna": approvers.enrolled["ben"]}
    with pytest.raises(Refused, match="made for another person"):
        approvers.secret("anna")


@pytest.mark.parametrize("text", ["", "gAAAA", "plain", "ü", "\ud800"])
def test_text_that_is_not_ciphertext_is_refused(approvers: Approvers, text: str) -> None:
    """Whatever someone wrote into the block."""
    approvers.enrolled = {"anna": SecretStr(text)}
    with pytest.raises(Refused, match="not made under the key"):
        approvers.secret("anna")


@pytest.mark.parametrize("bend", ["{}", "{}\n", " {}", "{}!"])
def test_a_removed_person_cannot_be_put_back(approvers: Approvers, bend: str) -> None:
    """Someone who kept the old entry and may write the block stays out, in any spelling of base64."""
    kept = approvers.enrolled["anna"].get_secret_value()
    approvers.remove("anna")
    approvers.enrolled = {**approvers.enrolled, "anna": SecretStr(bend.format(kept))}
    with pytest.raises(Refused, match="enrol again"):
        approvers.secret("anna")


def test_enrolling_again_must_be_asked_for_and_ends_the_previous_secret(approvers: Approvers) -> None:
    """A lost phone's secret is of no use afterwards."""
    previous = approvers.enrolled["anna"]
    for block, where in ((approvers, "already"), (Approvers(), "already, in another block")):
        with pytest.raises(BadInput, match=rf"enrolled {where}\. Add --replace"):
            block.enrol("anna")
    assert list(approvers.readable()) == ["anna", "ben"]
    secret = approvers.enrol("anna", replace=True)
    assert approvers.secret("anna") == secret
    approvers.enrolled = {"anna": previous}
    with pytest.raises(Refused, match="removed or replaced"):
        approvers.secret("anna")
    assert approvers.readable() == {}


SHOWN = {"the entry": "anna", "an earlier entry": "earlier", "another text": "text", "another person's": "ben", "none": ""}


@pytest.mark.parametrize("shown", SHOWN.values(), ids=SHOWN)
@pytest.mark.parametrize("change", ["removed", "replaced", "removed, enrolled"])
def test_no_secret_counts_that_was_made_before_a_removal_or_a_new_one_whatever_the_block_shows(shown: str, change: str) -> None:
    """Who may write the block chooses what it shows when an approver is removed or a stolen secret is replaced, and what comes later."""
    block = Approvers()
    made = {}
    for name in ("earlier", "anna", "ben"):
        block.enrol("anna" if name == "earlier" else name, replace=True)
        made[name] = block.enrolled["anna" if name == "earlier" else name]
    made["text"] = SecretStr("another text")
    block.enrolled = {"ben": made["ben"]} | ({"anna": made[shown]} if shown else {})
    if "removed" in change:
        assert block.remove("anna") is (shown == "anna")
        assert block.names() == ["ben"]
    if change != "removed":
        assert block.enrol("anna", replace=True) == block.secret("anna")
    for ciphertext in made.values():
        block.enrolled = {"anna": ciphertext, "ben": made["ben"]}
        assert list(block.readable()) == ["ben"]


def test_a_secret_counts_by_the_file_beside_the_key(approvers: Approvers, key_file: Path) -> None:
    """A folder that knows of no enrolment, or whose file others can change, lets no entry count."""
    entry = key_file.parent / "enrolled" / "anna"
    entry.chmod(0o666)
    assert list(approvers.readable()) == ["ben"]
    entry.unlink()
    with pytest.raises(Refused, match="removed or replaced"):
        approvers.secret("anna")


def test_a_secret_is_revoked_without_its_block_and_whatever_others_did_to_the_file(approvers: Approvers, key_file: Path) -> None:
    """Also if the file could be changed by others, so that the secret did not count: it does not count again with its old rights."""
    shown = approvers.entry("anna")
    assert (revoke("anna"), revoke("anna"), revoke("carl"), revoke("../anna")) == (shown, "", "", "")
    entry = key_file.parent / "enrolled" / "ben"
    entry.chmod(0o666)
    assert revoke("ben")
    entry.chmod(0o600)
    assert approvers.readable() == {}


@pytest.mark.parametrize("name", ["", "Anna", "a/b", "../x", "-a", ".a", "a=b", "a b", "x" * 65, "änne", "anna\n"])
def test_a_name_that_could_confuse_is_not_enrolled(name: str) -> None:
    """Names become file names and are compared: only plain ones."""
    with pytest.raises(BadInput, match="approver's name"):
        Approvers().enrol(name)


def test_no_one_can_be_removed_who_is_not_there(approvers: Approvers) -> None:
    """The message lists who is."""
    with pytest.raises(BadInput, match="anna, ben"):
        approvers.remove("carl")
    approvers.remove("anna")
    with pytest.raises(BadInput, match="Enrolled: ben"):
        approvers.remove("anna")


def test_many_who_make_the_key_at_once_end_with_the_same_one(key_file: Path) -> None:
    """The first whole file wins, and no draft stays behind."""
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(create_key, [key_file] * 32))
    assert len(keys) == 1
    assert [path.name for path in key_file.parent.iterdir()] == ["approvals.key"]


def test_signing_and_encrypting_use_different_keys(approvers: Approvers, key_file: Path) -> None:
    """Each purpose has its own derivation from the one file."""
    master = read_key(key_file)
    assert len({master, approvers.signing_key(), derive(master, "secrets")}) == 3


def test_the_key_is_in_the_home_of_shipway_where_nothing_else_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SHIPWAY_KEY_FILE wins over SHIPWAY_HOME."""
    monkeypatch.delenv("SHIPWAY_KEY_FILE")
    monkeypatch.setenv("SHIPWAY_HOME", str(tmp_path))
    assert key_path() == tmp_path / "keys" / "approvals.key"
