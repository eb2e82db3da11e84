"""SSH signatures of approvers: made with `ssh-keygen -Y sign`, verified with `-Y verify` against `allowed_signers` beside the key.

`ssh-keygen` does the rest: agents, FIDO keys, certificates, and the options `valid-after`, `valid-before` and `namespaces` of a line.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from fnmatch import fnmatchcase
from pathlib import Path

from blocks.approvers.approvers import NAME
from blocks.errors import BadInput, Refused
from blocks.key_folder.key_file import create_key, key_path, make_folder, read_private, replace_file, write_once

VERIFY_SECONDS = 10
SIGN_SECONDS = 120  # a FIDO key waits for a touch, a key with a passphrase for that
PASSED_ON = ("HOME", "PATH", "SSH_AUTH_SOCK", "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "SSH_SK_PROVIDER", "DISPLAY", "WAYLAND_DISPLAY", "TERM")
PUBLIC_KEY = re.compile(r"(sk-)?(ssh|ecdsa)-[a-z0-9@.-]+[ \t]+(?P<key>[A-Za-z0-9+/]+={0,2})")


def signers_path() -> Path:
    """Return the path of `allowed_signers`, beside the approval key."""
    return key_path().parent / "allowed_signers"


def signature_fault(name: str, statement: bytes, signature: str, *, namespace: str) -> str:
    """Say why a signature does not hold now for this person; "" if it does.

    Args:
        name: The person.
        statement: What was signed.
        signature: Armored.
        namespace: What the signature must have been made for.

    Raises:
        Refused: `ssh-keygen` is missing, or others may change `allowed_signers`.
    """
    if not NAME.fullmatch(name):
        return f"{name!r} is not an approver's name"
    lines = [line for line in _lines() if not _is_revoked(name, line)]
    if not lines:
        return f"no SSH key of {name} is known; add it with `shipway approvers add {name} --ssh-key FILE`"
    # What is verified is what was checked: copies, so that nothing changes under the program.
    with tempfile.TemporaryDirectory(prefix="shipway-") as folder:
        allowed, signed = Path(folder, "allowed"), Path(folder, "signature")
        allowed.write_text("".join(f"{line}\n" for line in lines))
        signed.write_text(signature)
        words = ["-Y", "verify", "-f", str(allowed), "-I", name, "-n", namespace, "-s", str(signed)]
        ended = _ssh_keygen(words, given=statement, seconds=VERIFY_SECONDS)
    return "" if ended.returncode == 0 else _said(ended)


def broken_signature(statement: bytes, signature: str, *, namespace: str) -> str:
    """Say why a signature is not one over this text, by the key that it carries itself, whoever's that is; "" if it is.

    Raises:
        Refused: `ssh-keygen` is missing.
    """
    with tempfile.NamedTemporaryFile("w", prefix="shipway-") as signed:
        signed.write(signature)
        signed.flush()
        ended = _ssh_keygen(["-Y", "check-novalidate", "-n", namespace, "-s", signed.name], given=statement, seconds=VERIFY_SECONDS)
    return "" if ended.returncode == 0 else _said(ended)


def sign(statement: bytes, *, key: Path, namespace: str) -> str:
    """Sign with a person's own key; a public key file means that the agent has the private one.

    Returns:
        The armored signature.

    Raises:
        Refused: `ssh-keygen` is missing, or did not sign.
    """
    ended = _ssh_keygen(["-Y", "sign", "-n", namespace, "-f", str(key)], given=statement, seconds=SIGN_SECONDS)
    if ended.returncode:
        raise Refused(f"ssh-keygen did not sign with {key}: {_said(ended)}")
    return ended.stdout.decode()


def add_signer(name: str, public_key: Path, *, namespace: str) -> None:
    """Let a person approve with this key, besides those that the person has.

    Raises:
        BadInput: The name does not fit, the file is not an SSH public key, or this key was removed from this person before.
    """
    if not NAME.fullmatch(name):
        raise BadInput(f"{name!r} is not an approver's name", field="NAME", fix="Use 1 to 64 of a-z, 0-9, '.', '_', '@', '-'.")
    try:
        found = PUBLIC_KEY.match(public_key.read_text(errors="replace"))
    except OSError as error:
        raise BadInput(f"{public_key} cannot be read: {error.strerror}", field="--ssh-key", fix="Give the public key's file.") from None
    if not found or _ssh_keygen(["-l", "-f", "-"], given=found[0].encode(), seconds=VERIFY_SECONDS).returncode:
        raise BadInput(f"{public_key} is not an SSH public key", field="--ssh-key", fix="Give the file that ends in .pub.")
    if _is_revoked(name, found[0]):
        fix = "Make a new key with `ssh-keygen`."
        raise BadInput(f"this SSH key was removed from {name} and does not count any more", field="--ssh-key", fix=fix)
    line = f'{name} namespaces="{namespace}" {found[0]}'
    create_key(key_path())
    lines = _every_line()
    if line not in lines:
        _write([*lines, line])


def remove_signer(name: str) -> int:
    """Take a person out of every line, also out of lists of names, and revoke these keys of the person for good; comments stay.

    Returns:
        In how many lines the person was.

    Raises:
        Refused: A pattern would still match the person; nothing is changed.
    """
    kept, gone = [], []
    for line in _every_line():
        if not line.strip() or line.lstrip().startswith("#"):
            kept.append(line)
            continue
        words, rest = _principals(line)
        others = [word for word in words if word != name]
        gone += [line] if len(others) < len(words) else []
        if any(fnmatchcase(name, word.replace("[", "[[]")) for word in others):
            raise Refused(f"{name} still matches a pattern in {signers_path()}; change this line by hand: {line[:200]}")
        if others:
            kept.append(f"{','.join(others)} {rest}" if len(others) < len(words) else line)
    if gone:
        _revoke(name, gone)
        _write(kept)
    return len(gone)


def _revoke(name: str, lines: list[str]) -> None:
    for path in (path for line in lines for path in _revocations(name, line)):
        make_folder(path.parent)
        write_once(path, f"SSH key of {name}\n".encode())


def _is_revoked(name: str, line: str) -> bool:
    """Say whether a line, which may be of an older copy of the file, has a key that was removed from this person, or none that is known.

    OpenSSH also takes short names such as `ED25519`, under which it would not be seen that a key was removed.
    """
    return not PUBLIC_KEY.search(line) or any(path.exists() for path in _revocations(name, line))


def _revocations(name: str, line: str) -> list[Path]:
    """Name the files that say that the keys of a line were removed from a person, whom others may share a key with."""
    folder = key_path().parent / "revoked"
    keys = (found["key"].rstrip("=") for found in PUBLIC_KEY.finditer(line))
    # Over the decoded bytes, which are the key: base64 can be respelled without changing them. A letter too many is not one.
    decoded = (base64.b64decode(key[: len(key) - (len(key) % 4 == 1)] + "==") for key in keys)
    return [folder / hashlib.sha256(f"{name}\n".encode() + key).hexdigest() for key in decoded]


def _principals(line: str) -> tuple[list[str], str]:
    """Part a line into its names and patterns, and what follows them."""
    first, rest = (*line.split(maxsplit=1), "")[:2]
    return first.strip('"').split(","), rest


def signers() -> list[str]:
    """List who has an SSH key that counts, by the names (or patterns) in `allowed_signers`."""
    return sorted({line.split(maxsplit=1)[0] for line in _lines() if not all(_is_revoked(name, line) for name in _principals(line)[0])})


def _lines() -> list[str]:
    return [line for line in _every_line() if line.strip() and not line.startswith("#")]


def _every_line() -> list[str]:
    try:
        return read_private(signers_path()).decode(errors="replace").splitlines()
    except FileNotFoundError:
        return []


def _write(lines: list[str]) -> None:
    path = signers_path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(path, "".join(f"{line}\n" for line in lines).encode())


def _ssh_keygen(words: list[str], *, given: bytes, seconds: float) -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("ssh-keygen")
    if not program:
        raise Refused("ssh-keygen is missing, without which no SSH signature can be made or verified; install the package openssh-client")
    try:
        return subprocess.run([program, *words], input=given, capture_output=True, timeout=seconds, check=False, env=_environment())
    except subprocess.TimeoutExpired:
        raise Refused(f"ssh-keygen did not end within {seconds:.0f} s") from None


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ} | {"LC_ALL": "C"}


def _said(ended: subprocess.CompletedProcess[bytes]) -> str:
    text = " ".join((ended.stderr + ended.stdout).decode(errors="replace").split())
    return text[:300] or f"ssh-keygen exited {ended.returncode}"
