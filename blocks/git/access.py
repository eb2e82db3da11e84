"""A private folder for one work copy, with the environment that git gets there: no configuration, hook, prompt or secret of anybody else.

Secrets: the token is in the environment of git alone, where a credential helper of one line reads it. Keys are files that only this
user can read. The folder is locked while it is used; one whose process was killed is removed by the next that is made.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from blocks.errors import Refused
from blocks.git.remote import Remote

KEPT = ("PATH", "TMPDIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR")
PREFIX = "copy-"
HELPER = """!f() { test "$1" = get && printf 'username=%s\\npassword=%s\\n' "$SHIPWAY_GIT_USERNAME" "$SHIPWAY_GIT_TOKEN"; }; f"""
CONNECT_SECONDS = 15
SETTINGS = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.symlinks": "false",
    "credential.helper": "",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",
    "http.followRedirects": "false",
    "maintenance.auto": "false",
    "push.recurseSubmodules": "no",
    "push.gpgSign": "false",
    "submodule.recurse": "false",
    "transfer.credentialsInUrl": "die",
}


@dataclass(frozen=True)
class Secrets:
    """What a block holds in secret, in plain text; "" is none.

    Fields:
        username: Sent with the token.
        token: A password or token for HTTP.
        ssh_key: A private key in OpenSSH's or PEM's form, without a passphrase.
        known_hosts: Lines of a `known_hosts` file.
        signing_key: A private SSH key that signs commits.
    """

    username: str = ""
    token: str = ""
    ssh_key: str = ""
    known_hosts: str = ""
    signing_key: str = ""

    def __repr__(self) -> str:
        """Show nothing."""
        return "Secrets(…)"

    def hidden(self) -> tuple[str, ...]:
        """List what must not be quoted."""
        return tuple(one for one in (self.token, self.ssh_key, self.signing_key) if one)


@contextmanager
def private_folder() -> Iterator[Path]:
    """Make a folder that only this user can enter, and remove it with all that is in it.

    Raises:
        Refused: The parent folder is another user's.
    """
    parent = Path(tempfile.gettempdir()) / f"shipway-git-{os.getuid()}"
    parent.mkdir(mode=0o700, exist_ok=True)
    found = parent.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise Refused(f"{parent} is not a folder of this user alone. Remove it")
    with (parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _remove_abandoned(parent)
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(handle)


def environment_of(remote: Remote, secrets: Secrets, folder: Path, *, author: tuple[str, str]) -> dict[str, str]:
    """Write the whole environment of git, and the files of keys that it names.

    Args:
        remote: The one address it may speak to.
        secrets: The block's.
        folder: A private folder.
        author: Name and address of who commits.
    """
    settings = dict(SETTINGS)
    environment = {name: os.environ[name] for name in KEPT if name in os.environ} | {
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "GIT_ALLOW_PROTOCOL": remote.protocol,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_TEMPLATE_DIR": "",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": author[0],
        "GIT_AUTHOR_EMAIL": author[1],
        "GIT_COMMITTER_NAME": author[0],
        "GIT_COMMITTER_EMAIL": author[1],
    }
    if secrets.token and remote.origin:
        settings[f"credential.{remote.origin}.helper"] = HELPER
        environment |= {"SHIPWAY_GIT_USERNAME": secrets.username, "SHIPWAY_GIT_TOKEN": secrets.token}
    if remote.protocol == "ssh":
        environment["GIT_SSH_COMMAND"] = _ssh_command(secrets, folder)
    if secrets.signing_key:
        settings |= {"gpg.format": "ssh", "user.signingKey": str(_key_file(folder / "signing-key", secrets.signing_key))}
    environment["GIT_CONFIG_COUNT"] = str(len(settings))
    for number, (name, value) in enumerate(settings.items()):
        environment |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return environment


def _ssh_command(secrets: Secrets, folder: Path) -> str:
    hosts = folder / "known-hosts"
    hosts.write_text(secrets.known_hosts + "\n")
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": CONNECT_SECONDS,
        "ControlPath": "none",
        "ForwardAgent": "no",
        "GlobalKnownHostsFile": os.devnull,
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "IdentityFile": str(_key_file(folder / "ssh-key", secrets.ssh_key)),
        "PasswordAuthentication": "no",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "UserKnownHostsFile": str(hosts),
    }
    return shlex.join(["ssh", "-F", os.devnull, *(part for name, value in options.items() for part in ("-o", f"{name}={value}"))])


def _key_file(path: Path, key: str) -> Path:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(key.strip() + "\n")  # OpenSSH refuses a key without a line's end
    return path
