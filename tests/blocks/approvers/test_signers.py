"""SSH signatures with the real ssh-keygen, ed25519 keys, and an agent."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks.approvers.signers import add_signer, remove_signer, sign, signature_fault, signers, signers_path
from blocks.errors import BadInput, Refused

SPACE = "shipway-approval@v1"
SAID = b'{"decision":"approve"}'

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen on PATH")


def make_key(folder: Path, name: str, *words: str) -> Path:
    """Generate a key pair without a passphrase."""
    path = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path), *words], check=True)
    return path


@pytest.fixture(autouse=True)
def key_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the key folder in one of the test."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    return tmp_path / "keys"


@pytest.fixture
def anna(tmp_path: Path) -> Path:
    """Give anna a key that is known."""
    key = make_key(tmp_path, "anna")
    add_signer("anna", key.with_suffix(".pub"), namespace=SPACE)
    return key


@pytest.fixture
def agent(tmp_path: Path, anna: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run an agent that holds anna's key, and take the private file away."""
    socket = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()  # it says its socket when it listens
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        subprocess.run(["ssh-add", "-q", str(anna)], check=True, capture_output=True)
        anna.unlink()
        yield
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()  # type: ignore[union-attr]


def fault(name: str = "anna", *, said: bytes = SAID, signature: str, space: str = SPACE) -> str:
    """Verify."""
    return signature_fault(name, said, signature, namespace=space)


def test_what_a_person_signs_holds_for_that_person_and_text_alone(anna: Path, tmp_path: Path) -> None:
    """Another text, name or namespace does not hold, nor does another person's signature."""
    signature = sign(SAID, key=anna, namespace=SPACE)
    assert fault(signature=signature) == ""
    assert fault(said=SAID + b" ", signature=signature)
    assert fault("ben", signature=signature)
    add_signer("ben", make_key(tmp_path, "ben").with_suffix(".pub"), namespace=SPACE)
    assert fault("ben", signature=signature)
    assert fault("ben", signature=sign(SAID, key=tmp_path / "ben", namespace=SPACE)) == ""


def test_a_signature_for_another_purpose_does_not_hold(anna: Path) -> None:
    """A commit that anna signed is not an approval, and an approval no commit."""
    assert fault(signature=sign(SAID, key=anna, namespace="git"))
    assert fault(signature=sign(SAID, key=anna, namespace="git"), space="git"), "the line of allowed_signers is for approvals alone"


@pytest.mark.usefixtures("agent")
def test_an_agent_signs_for_a_public_key(anna: Path) -> None:
    """The private key never leaves it."""
    assert fault(signature=sign(SAID, key=anna.with_suffix(".pub"), namespace=SPACE)) == ""


@pytest.mark.parametrize("option", ['valid-before="20200101"', 'valid-after="20990101"'])
def test_a_key_outside_of_its_time_does_not_hold(anna: Path, option: str) -> None:
    """The team may write such lines by hand."""
    signature = sign(SAID, key=anna, namespace=SPACE)
    signers_path().write_text(signers_path().read_text().replace("namespaces=", f"{option},namespaces="))
    assert "anna" in signers()
    assert fault(signature=signature)


@pytest.mark.parametrize("text", ["", "x", "-----BEGIN SSH SIGNATURE-----\n", "\x00", "é" * 8_000])
def test_text_that_is_not_a_signature_does_not_hold(anna: Path, text: str) -> None:
    """Whatever is posted."""
    assert anna.exists()
    assert fault(signature=text)


@pytest.mark.parametrize("name", ["*", "", "-n", "a\nb", "Anna"])
def test_a_name_that_is_a_pattern_or_an_option_does_not_hold(anna: Path, name: str) -> None:
    """Names are checked before the program sees them."""
    assert fault(name, signature=sign(SAID, key=anna, namespace=SPACE))


def test_a_removed_key_does_not_hold_any_more(anna: Path, tmp_path: Path) -> None:
    """Each of the person's keys goes; the others' stay."""
    signature = sign(SAID, key=anna, namespace=SPACE)
    add_signer("anna", make_key(tmp_path, "second").with_suffix(".pub"), namespace=SPACE)
    add_signer("ben", make_key(tmp_path, "ben").with_suffix(".pub"), namespace=SPACE)
    assert signers() == ["anna", "ben"]
    assert remove_signer("anna") == 2
    assert signers() == ["ben"]
    assert fault(signature=signature)
    assert remove_signer("anna") == 0


def test_a_removed_key_does_not_count_again_if_its_line_is_restored(anna: Path) -> None:
    """From an older copy of the file, also with another option or another spelling; it cannot be added again by mistake either."""
    signature, line = sign(SAID, key=anna, namespace=SPACE), signers_path().read_text()
    assert fault(signature=signature) == ""
    remove_signer("anna")
    key = line.split()[3]
    shared, respelled = line.replace("anna ", "ben,anna ", 1), line.replace(key, f"{key}==")
    for restored in (line, shared, respelled, line.replace("ssh-ed25519 ", "ssh-ed25519\t "), line.replace("ssh-ed25519 ", "ED25519 ")):
        signers_path().write_text(restored)
        assert fault(signature=signature)
    signers_path().write_text(line)
    assert signers() == []
    with pytest.raises(BadInput, match="removed from anna"):
        add_signer("anna", anna.with_suffix(".pub"), namespace=SPACE)
    add_signer("ben", anna.with_suffix(".pub"), namespace=SPACE)
    assert fault("ben", signature=signature) == "", "another person who has the same key keeps it"


def test_a_lost_key_is_replaced_by_removing_the_person_and_adding_a_new_one(anna: Path, tmp_path: Path) -> None:
    """As the handbook says; who found the old one approves nothing."""
    new = make_key(tmp_path, "new")
    assert remove_signer("anna") == 1
    add_signer("anna", new.with_suffix(".pub"), namespace=SPACE)
    assert fault(signature=sign(SAID, key=anna, namespace=SPACE))
    assert fault(signature=sign(SAID, key=new, namespace=SPACE)) == ""
    assert signers() == ["anna"]


def test_without_any_key_the_fault_says_how_to_add_one() -> None:
    """A new installation."""
    assert "--ssh-key" in fault(signature="x")


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o644])
def test_signers_that_others_can_reach_are_refused(anna: Path, mode: int) -> None:
    """Whoever can write the file could approve."""
    signature = sign(SAID, key=anna, namespace=SPACE)
    signers_path().chmod(mode)
    with pytest.raises(Refused, match="chmod 600"):
        fault(signature=signature)


def test_only_a_public_key_is_added(anna: Path, tmp_path: Path) -> None:
    """A private key, other text, and no file."""
    (tmp_path / "text").write_text("ssh-ed25519 AAAA anna\n")
    for path in (anna, tmp_path / "text", tmp_path / "absent"):
        with pytest.raises(BadInput, match="--ssh-key"):
            add_signer("anna", path, namespace=SPACE)
    with pytest.raises(BadInput, match="approver's name"):
        add_signer("*", anna.with_suffix(".pub"), namespace=SPACE)


def test_a_key_that_cannot_sign_is_refused(tmp_path: Path) -> None:
    """With the program's own words."""
    with pytest.raises(Refused, match="did not sign"):
        sign(SAID, key=tmp_path / "absent", namespace=SPACE)


def test_a_missing_ssh_keygen_is_refused_with_the_package(anna: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing counts as verified without it."""
    signature = sign(SAID, key=anna, namespace=SPACE)
    monkeypatch.setenv("PATH", os.devnull)
    with pytest.raises(Refused, match="openssh-client"):
        fault(signature=signature)


def test_a_removed_person_is_taken_out_of_lists_and_a_pattern_that_still_matches_is_refused() -> None:
    """Comments and the others of a list stay; nothing is changed if it is refused."""
    signers_path().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    signers_path().touch(mode=0o600)
    signers_path().write_text("# ours\nada,grace ssh-ed25519 AAAA\nada ssh-ed25519 BBBB\n")
    assert remove_signer("ada") == 2
    assert signers_path().read_text() == "# ours\ngrace ssh-ed25519 AAAA\n"
    signers_path().write_text("ada ssh-ed25519 AAAA\na* ssh-ed25519 BBBB\n")
    with pytest.raises(Refused, match=r"a\* ssh-ed25519 BBBB"):
        remove_signer("ada")
    assert signers_path().read_text().startswith("ada ")
