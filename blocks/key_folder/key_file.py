"""Approval key: one file on the worker's machine, never on the server.

From it one key for each purpose is derived (HKDF-SHA256, RFC 5869): it encrypts the approvers' secrets, signs proofs, seals what is
stored, and hashes the settings that are approved. It is made by `shipway up`, `shipway approvers add` and `shipway policy apply` alone.
Several workers share one folder with the key, and what lies beside it: policies, owners, heads, revoked secrets, wrong codes, SSH keys.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import os
import secrets
import stat
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from blocks.errors import Refused
from blocks.secret_text import learn

KEY_BYTES = 32
MAX_BYTES = 1_000_000


def key_path() -> Path:
    """Return the path of the key: SHIPWAY_KEY_FILE, else `keys/approvals.key` in SHIPWAY_HOME (default `~/.shipway`)."""
    home = Path(os.environ.get("SHIPWAY_HOME") or Path.home() / ".shipway")
    return Path(os.environ.get("SHIPWAY_KEY_FILE") or home / "keys" / "approvals.key")


def read_key(path: Path) -> bytes:
    """Read the master key.

    Raises:
        Refused: It does not exist, others on this machine can read or change it, or it is not a key.
    """
    try:
        text = read_private(path)
    except FileNotFoundError:
        fix = f"copy the key folder of the machine that has it here to {path.parent}, or mount it; SHIPWAY_KEY_FILE names the key"
        raise Refused(f"no approval key at {path}; {fix}. On the first machine `shipway up` or `shipway approvers add` makes one") from None
    learn([text.decode("ascii", "replace")])
    return _decoded(text, path)


def read_private(path: Path) -> bytes:
    """Read a file, at most 1 MB, that only its owner may read and change.

    Raises:
        FileNotFoundError: It does not exist.
        Refused: It cannot be read, or others on this machine can read or change it.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            text = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from None
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise Refused(f"others may read or change {path}; make it yours alone with `chmod 600 {path}`")
    if status.st_uid not in (os.geteuid(), 0):
        raise Refused(f"{path} belongs to user {status.st_uid}, not to this process's user {os.geteuid()}")
    if len(text) > MAX_BYTES:
        raise Refused(f"{path} has more than {MAX_BYTES:,} bytes")
    return text


def create_key(path: Path) -> bytes:
    """Create the master key if there is none yet, and read it; two processes at once get the same key."""
    if not path.exists():
        make_folder(path.parent)
        write_once(path, base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
    return read_key(path)


def make_folder(folder: Path) -> None:
    """Make a folder that only its owner may read; made as root, as by `sudo`, it belongs to whoever has the folder above it."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for one in reversed(missing):
        if os.geteuid() == 0:
            above = one.parent.stat()
            os.chown(one, above.st_uid, above.st_gid)


def give_to_owner(descriptor: int, folder: Path) -> None:
    """Give a file that root made, as by `sudo`, to whoever has its folder: others could not use it."""
    if os.geteuid() == 0:
        above = folder.stat()
        os.fchown(descriptor, above.st_uid, above.st_gid)


def write_once(path: Path, content: bytes) -> bool:
    """Write a file whole and durably, unless it is there already.

    Returns:
        Whether this call made it.
    """
    draft = _draft(path, content)
    try:
        # A link appears at once with its whole content, or fails because another process was first; also on NFS.
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    _sync_folder(path.parent)
    return True


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole and durably, in the place of one that may be there."""
    draft = _draft(path, content)
    try:
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _draft(path: Path, content: bytes) -> Path:
    """Write a hidden file beside another, which only its owner can read; as root, as by `sudo`, that is whoever has the folder."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            give_to_owner(file.fileno(), path.parent)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return draft


def state_key() -> bytes:
    """Derive the key that seals the state kept in a cluster's annotations; empty on a machine without an approval key that can be used."""
    try:
        return derive(read_key(key_path()), "kubernetes state")
    except Refused:
        return b""


def secret_name(text: str) -> str:
    """Give the name of a thing that cannot be known beforehand, such as an idempotency key: whoever takes it first decides what it is.

    Args:
        text: What it names; without an approval key that can be used it is the name.
    """
    with contextlib.suppress(Refused, OSError):
        return hmac.digest(derive(read_key(key_path()), "names"), text.encode(), "sha256").hex()
    return text


def derive(master: bytes, purpose: str) -> bytes:
    """Derive the 32-byte key for one purpose."""
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=f"shipway approvals: {purpose}".encode()).derive(master)


def _decoded(text: bytes, path: Path) -> bytes:
    try:
        key = base64.b64decode(text.strip(), altchars=b"-_", validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise Refused(f"{path} does not hold an approval key (base64 of {KEY_BYTES} bytes); restore it from a backup")
    return key


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
