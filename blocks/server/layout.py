"""The home directory: all that one server stack keeps, and the few facts that are remembered there.

HOME/home.json   shows that the folder is ours: format, port, whether the API asks for a password
HOME/keys/       secrets, 0600: api.auth (`user:password` of the API), metrics.token (for who scrapes /metrics), approvals.key unless
                 SHIPWAY_KEY_FILE named another file
HOME/run/        process records, locks, metrics.prom; HOME/logs/ one log a process; HOME/storage/ results; HOME/postgres/ the database
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import socket
from pathlib import Path
from typing import NotRequired, TypedDict

from blocks.errors import Refused
from blocks.runner import runner
from blocks.server import sockets

SHORTEST_TOKEN = 20
FOLDERS = ("keys", "run", "logs", "storage", "prefect")


class Facts(TypedDict):
    """What a home directory remembers.

    Fields:
        format: Version of this folder's layout.
        port: TCP port of the server on 127.0.0.1.
        auth: Whether the API asks for the password in keys/api.auth.
        key_file: Path of the approval key if it is not keys/approvals.key, as SHIPWAY_KEY_FILE named it when the home directory was made.
    """

    format: int
    port: int
    auth: bool
    key_file: NotRequired[str]


def default_home() -> Path:
    """Say where the home directory is: $SHIPWAY_HOME, or ~/.shipway.

    Raises:
        Refused: Neither variable is set, and this user has no home directory.
    """
    try:
        return Path(os.environ.get("SHIPWAY_HOME") or Path.home() / ".shipway").expanduser().absolute()
    except RuntimeError:
        message = f"user {os.geteuid()} has no home directory; set HOME or SHIPWAY_HOME, or choose a folder with --home"
        raise Refused(message) from None


def read_facts(home: Path) -> Facts:
    """Read what the home directory remembers.

    Raises:
        Refused: The folder is not a Shipway home.
    """
    try:
        facts: Facts = json.loads((home / "home.json").read_text())
    except FileNotFoundError:
        message = f"{home} is not a Shipway home; run `shipway up --home {home}` to make one"
        raise Refused(message) from None
    except (ValueError, OSError) as error:
        message = f"{home / 'home.json'} cannot be read ({error}); restore it or choose another home"
        raise Refused(message) from error
    return facts


def make_home(home: Path, *, port: int | None, auth: bool | None) -> Facts:
    """Make the folder a home directory, or read the one that it is; a changed `port` or `auth` is remembered.

    Args:
        home: Absolute path; must be empty, absent or a home directory already.
        port: TCP port to use from now on; None keeps the remembered one or takes a free one.
        auth: Whether the API asks for a password; None keeps it (on at first).

    Returns:
        The facts as they are now.

    Raises:
        Refused: The folder holds something else, belongs to another user, or cannot be made or written to, or SHIPWAY_KEY_FILE names
            another key than the one it remembers.
    """
    try:
        return _make_home(home, port=port, auth=auth)
    except OSError as error:
        message = f"{home} cannot be used as a home directory: {error}; choose a folder that you may write to with --home"
        raise Refused(message) from error


def _make_home(home: Path, *, port: int | None, auth: bool | None) -> Facts:
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    is_new = not (home / "home.json").exists()
    if not is_new:
        facts = read_facts(home)
        expect_same_key(home)
    elif any(entry.name not in (*FOLDERS, "local", "scripts") for entry in home.iterdir()):
        message = f"{home} holds files that are not ours; choose an empty folder with --home"
        raise Refused(message)
    else:
        facts = Facts(format=1, port=free_port(), auth=True)
        if (key := _named_key()) is not None:
            facts["key_file"] = str(key)
            expect_key_folder(home, key)
    if home.stat().st_uid != os.geteuid():
        message = f"{home} belongs to another user; run as that user or choose another folder with --home"
        raise Refused(message)
    facts["port"] = facts["port"] if port is None else port
    facts["auth"] = facts["auth"] if auth is None else auth
    for folder in FOLDERS:
        (home / folder).mkdir(exist_ok=True, mode=0o700)
        (home / folder).chmod(0o700)
    set_modes(home)
    _make_keys(home, _key_of(facts, home), is_new=is_new)
    write_private(home / "home.json", json.dumps(facts, indent=2) + "\n")
    sockets.folder(home)
    return facts


def set_modes(home: Path) -> None:
    """Close the home directory to others; if services have users of their own, those pass through to their data, and see nothing else."""
    if runner() is None:
        home.chmod(0o700)
        return
    home.chmod(0o711)
    (home / "local").mkdir(exist_ok=True)
    (home / "local").chmod(0o711)


def write_private(path: Path, text: str) -> None:
    """Replace a file at once, readable by its owner alone."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def key_file(home: Path) -> Path:
    """Say where the approval key is: where SHIPWAY_KEY_FILE named it when the home directory was made, else in the home directory."""
    return _key_of(read_facts(home), home) if (home / "home.json").exists() else home / "keys" / "approvals.key"


def expect_same_key(home: Path) -> None:
    """Compare SHIPWAY_KEY_FILE, if it is set, with the key that the home directory remembers.

    Raises:
        Refused: They are not the same file; another key would make what is stored, and every approver, useless.
    """
    named, remembered = _named_key(), key_file(home)
    if named is not None and named.resolve() != remembered.resolve():
        fix = f'unset it; to move the key, `shipway down`, copy its whole folder, and set "key_file" in {home / "home.json"}'
        raise Refused(f"SHIPWAY_KEY_FILE names {named}, but {home} uses the approval key {remembered}: {fix}")


def expect_key_folder(home: Path, key: Path) -> None:
    """Look if the key's folder is there, unless it is the home directory's own: one that is not mounted must not get a new key.

    Raises:
        Refused: It is not.
    """
    if not key.is_relative_to(home) and not key.parent.is_dir():
        raise Refused(f"there is no folder {key.parent} for the approval key (SHIPWAY_KEY_FILE): mount or make it, for this user alone")


def _key_of(facts: Facts, home: Path) -> Path:
    return Path(facts.get("key_file") or home / "keys" / "approvals.key")


def _named_key() -> Path | None:
    named = os.environ.get("SHIPWAY_KEY_FILE")
    return Path(named).expanduser().absolute() if named else None


def auth_string(home: Path) -> str | None:
    """Read the API's `user:password`, or None if the API is open."""
    return (home / "keys" / "api.auth").read_text().strip() if read_facts(home)["auth"] else None


def metrics_token(home: Path) -> str:
    """Read the token of who scrapes the metrics, which opens nothing else; "" if it is not there, or too short to be one."""
    try:
        found = (home / "keys" / "metrics.token").read_text().strip()
    except (OSError, ValueError):
        return ""
    return found if len(found) >= SHORTEST_TOKEN else ""


def metrics_file(home: Path) -> Path:
    """Say where the keeper writes the metrics that are served."""
    return home / "run" / "metrics.prom"


def api_url(home: Path) -> str:
    """Say where the Prefect API is."""
    return f"http://127.0.0.1:{read_facts(home)['port']}/api"


def free_port() -> int:
    """Ask the operating system for a TCP port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def engine_socket(home: Path) -> Path:
    """Say where the warm engine listens."""
    return sockets.folder(home) / "engine.sock"


def judge_socket(home: Path) -> Path:
    """Say where the warm judge listens."""
    return sockets.folder(home) / "judge.sock"


def _make_keys(home: Path, key: Path, *, is_new: bool) -> None:
    if not key.exists():
        if not is_new and not key.is_relative_to(home):
            raise Refused(f"the approval key {key} of {home} is not there: mount its folder, or restore it from a copy")
        _write_once(key, base64.urlsafe_b64encode(secrets.token_bytes(32)).decode() + "\n")
    if not (home / "keys" / "api.auth").exists():
        write_private(home / "keys" / "api.auth", f"shipway:{secrets.token_urlsafe(24)}\n")
    if not (home / "keys" / "metrics.token").exists():
        write_private(home / "keys" / "metrics.token", f"{secrets.token_urlsafe(24)}\n")


def _write_once(path: Path, text: str) -> None:
    """Write a file whole, unless another machine that shares its folder was first."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    write_private(draft, text)
    try:
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
