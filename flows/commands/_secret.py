"""A person's own secret for codes: in a file that only that person can read, or typed in without echo."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import SecretStr

SHORTEST_BYTES = 20


def add_secret_file(parser: argparse.ArgumentParser) -> None:
    """Describe the option that names the file."""
    usual = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config") / "shipway" / "approver"
    parser.add_argument(
        "--secret-file", type=Path, metavar="FILE", default=usual, help=f"your secret, which only you can read (default: {usual})"
    )


def add_proof(parser: argparse.ArgumentParser) -> None:
    """Describe the options with which a person proves an answer: by an SSH key, a code, or the secret from which that is computed."""
    proof = parser.add_mutually_exclusive_group()
    proof.add_argument("--key", type=Path, metavar="FILE", help="sign with this SSH key; its .pub means that the agent has the private one")
    proof.add_argument("--code", metavar="CODE", help="the eight digits of `shipway code` (default: computed from your secret)")
    add_secret_file(parser)


def read_secret(file: Path) -> SecretStr:
    """Read the secret, or ask for it if the file does not exist.

    Raises:
        BadInput: There is no secret, or it is not one.
        Refused: Others may read the file.
    """
    import base64

    from pydantic import SecretStr

    from blocks.errors import BadInput
    from blocks.key_folder.key_file import read_private

    file = file.expanduser()
    try:
        text = read_private(file).decode(errors="replace")
    except FileNotFoundError:
        text = getpass.getpass("your secret: ") if sys.stdin.isatty() else ""
        if not text.strip():
            fix = f"Write the secret that `shipway approvers add` gave you into {file}, mode 0600."
            raise BadInput("your secret is missing", field="--secret-file", fix=fix) from None
    secret = text.strip().upper()
    try:
        length = len(base64.b32decode(secret))
    except ValueError:
        length = 0
    if length < SHORTEST_BYTES:
        raise BadInput(f"{file} does not hold a secret of an approver", field="--secret-file", fix="Copy it again, or enrol anew.")
    return SecretStr(secret)
