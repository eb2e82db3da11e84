"""Approvers: the people who may approve, as a Prefect block that holds ciphertext only.

Prefect's API gives a block's secrets in plain text to whoever may call it. So the secrets that codes are computed with are
encrypted under a key that stays with the worker (see `blocks.key_folder.key_file`), each bound to its name. Which entry of a name
counts is kept beside the key, since whoever may call the API also chooses what the block shows when a person is removed.

enrolled/<name>   SHA-256 of the one entry that counts for this name; empty once the person was removed
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from pathlib import Path
from typing import ClassVar

from cryptography.fernet import Fernet, InvalidToken
from prefect.blocks.core import Block
from pydantic import ConfigDict, Field, SecretStr

from blocks.approvers.wrong_codes import WrongCodes
from blocks.errors import BadInput, Refused
from blocks.hidden_values import hide_values
from blocks.key_folder.key_file import create_key, derive, key_path, make_folder, read_key, read_private, replace_file

SECRET_BYTES = 35  # 280 bits
SECRET_LENGTH = SECRET_BYTES * 8 // 5  # characters of base32, without padding; a secret for TOTP had 32
UNREADABLE = "unreadable"
NAME = re.compile(r"[a-z0-9]([a-z0-9._@-]{0,62}[a-z0-9])?")


class Approvers(Block):
    """People who can approve releases with codes; enrol them with `shipway approvers add NAME`.

    Example:
        ```python
        approvers = await Approvers.aload("shipway")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Approvers"
    _block_type_slug: ClassVar[str | None] = "approvers"
    _description: ClassVar[str | None] = "People who can approve releases. Holds ciphertext only; the key stays with the worker."

    model_config = ConfigDict(json_schema_extra=hide_values)

    enrolled: dict[str, SecretStr] = Field(default_factory=dict, description="Encrypted secrets by name, which the API does not show.")
    """Encrypted secret by name; written by `shipway approvers`, useless without the key."""

    def names(self) -> list[str]:
        """List who is enrolled."""
        return sorted(self.enrolled)

    def enrol(self, name: str, *, replace: bool = False) -> SecretStr:
        """Enrol a person with a new secret, so that none that was made before counts for this name; save the block afterwards.

        Args:
            name: Lower-case name.
            replace: Whether the name may have a secret already, which is replaced in every block.

        Returns:
            The secret in base32, which `shipway code` takes.

        Raises:
            BadInput: The name does not fit, or is enrolled already, in this block or another one.
            Refused: The key cannot be used.
        """
        if not NAME.fullmatch(name):
            raise BadInput(f"{name!r} is not an approver's name", field="NAME", fix="Use 1 to 64 of a-z, 0-9, inside also . _ @ -")
        if not replace and (name in self.enrolled or _counting(name)):
            where = "" if name in self.enrolled else ", in another block"
            raise BadInput(
                f"{name} is enrolled already{where}", field="NAME", fix="Add --replace to revoke the previous secret everywhere."
            )
        create_key(key_path())
        secret = base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode()
        plain = json.dumps({"name": name, "secret": secret}).encode()
        ciphertext = self._cipher().encrypt(plain)
        _keep(name, _fingerprint(ciphertext))
        self.enrolled = {**self.enrolled, name: SecretStr(ciphertext.decode())}
        return SecretStr(secret)

    def remove(self, name: str, *, revoked: str = "") -> bool:
        """Remove a person and revoke every secret that was made for the name, whatever the block shows; save the block afterwards.

        Args:
            name: The enrolled name.
            revoked: What `revoke` gave, if it was called before.

        Returns:
            Whether the block showed the entry that counted until now, if one did; if not, others changed the block.

        Raises:
            BadInput: This name is not enrolled, neither in the block nor beside the key.
            Refused: The key cannot be used.
        """
        counted, shown = revoke(name) or revoked, self._shown(name)
        read_key(key_path())
        if shown is None and not counted:
            raise BadInput(f"{name!r} is not enrolled", field="NAME", fix=f"Enrolled: {', '.join(self.names()) or 'none'}.")
        self.enrolled = {other: ciphertext for other, ciphertext in self.enrolled.items() if other != name}
        return not counted or (shown is not None and _fingerprint(shown) == counted)

    def secret(self, name: str) -> SecretStr:
        """Decrypt one person's secret, in memory only.

        Raises:
            Refused: This name is not enrolled, or the entry is not one that was made for this name under this key.
        """
        if (ciphertext := self._shown(name)) is None:
            raise Refused(f"{name!r} is not enrolled; `shipway approvers list` shows who is")
        again = f"enrol again with `shipway approvers add {name} --replace`"
        try:
            entry = json.loads(self._cipher().decrypt(ciphertext))
        except InvalidToken:
            raise Refused(f"the entry of {name} was not made under the key {key_path()}; {again}, or copy the right key here") from None
        if entry["name"] != name:
            raise Refused(f"the entry of {name} was made for another person, and moved; {again}")
        if _counting(name) != _fingerprint(ciphertext):
            raise Refused(f"the entry of {name} was removed or replaced, and then restored from an old copy, or {_path(name)} was; {again}")
        if len(entry["secret"]) < SECRET_LENGTH:
            raise Refused(f"the secret of {name} is for codes by time (TOTP), which approve nothing any more; {again}")
        return SecretStr(entry["secret"])

    def signing_key(self) -> bytes:
        """Derive the key that signs proofs; it must never leave the process."""
        return derive(read_key(key_path()), "proofs")

    def wrong_codes(self) -> WrongCodes:
        """Open the list of wrong codes beside the key."""
        return WrongCodes(key_path().parent)

    def entry(self, name: str) -> str:
        """Name the entry that the block shows for a person, by its SHA-256; whether it counts, `secret` says."""
        return _fingerprint(self._shown(name) or b"")

    def readable(self) -> dict[str, str]:
        """Give whose secret can be used now, with its entry: enrolled, not revoked, and under this key."""
        return {name: self.entry(name) for name in self.names() if self._is_readable(name)}

    def _is_readable(self, name: str) -> bool:
        try:
            return bool(self.secret(name))
        except Refused:
            return False

    def _cipher(self) -> Fernet:
        return Fernet(base64.urlsafe_b64encode(derive(read_key(key_path()), "secrets")))

    def _shown(self, name: str) -> bytes | None:
        return self.enrolled[name].get_secret_value().encode(errors="replace") if name in self.enrolled else None


def revoke(name: str) -> str:
    """Revoke every secret that was made for a name, beside the key: it needs neither the server nor a block.

    Returns:
        The entry that counted until now, "" if none did; `UNREADABLE` if it cannot be read, so that it did not count.
    """
    try:
        counted = _counting(name)
    except Refused:
        counted = UNREADABLE
    if counted:
        _keep(name, "")
    return counted


def _path(name: str) -> Path:
    return key_path().parent / "enrolled" / name


def _counting(name: str) -> str:
    """Read which entry counts for a name; "" if none does.

    Raises:
        Refused: Others on this machine can read or change the file, or it cannot be read.
    """
    try:
        return read_private(_path(name)).decode(errors="replace").strip() if NAME.fullmatch(name) else ""
    except FileNotFoundError:
        return ""


def _keep(name: str, fingerprint: str) -> None:
    make_folder(_path(name).parent)
    replace_file(_path(name), f"{fingerprint}\n".encode())


def _fingerprint(ciphertext: bytes) -> str:
    # Over the decoded bytes, which are what is authenticated: base64 itself can be respelled without changing them.
    try:
        decoded = base64.urlsafe_b64decode(ciphertext)
    except ValueError:
        decoded = ciphertext
    return hashlib.sha256(decoded).hexdigest()
