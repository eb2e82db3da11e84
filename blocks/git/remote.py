"""Where a repository lies, as git names it: checked before git sees it, since git would also run programs that an address names."""

from __future__ import annotations

import ipaddress
import posixpath
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import unquote

from blocks.errors import BadInput

HTTP = re.compile(r"(https?)://([A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:]+\])(:\d{1,5})?/[^\s?#@]+")
SSH = re.compile(r"ssh://([A-Za-z0-9][A-Za-z0-9._-]*@)?([A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:]+\])(:\d{1,5})?/[^\s?#]+")
SCP = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*:(?!//|:)[^\s:-][^\s]*")
FILE = re.compile(r"file:///[^\s?#]+")
PLACE = re.compile(r"(?:(?:https?://)(?:[^/@]*@)?([^/:]*(?::\d+)?)|(?:[a-z]+://)?(?:[^/@]*@)?([^/:]*)(?::\d+(?=/))?)[:/](.*)")


@dataclass(frozen=True)
class Remote:
    """A checked address.

    Fields:
        url: As git takes it; it never holds a user's password.
        protocol: The one protocol that git may use.
        origin: Scheme, host and port of an HTTP address, to which alone credentials are given.
    """

    url: str
    protocol: Literal["file", "http", "https", "ssh"]
    origin: str = ""


def check_remote(url: str, *, has_token: bool) -> Remote:
    """Check an address.

    Args:
        url: As the block names it.
        has_token: Whether a token would be sent there.

    Raises:
        BadInput: It is not an address of a repository, holds credentials, or would send the token unencrypted. Never quotes the address.
    """
    if found := HTTP.fullmatch(url):
        host = found[2]
        if has_token and found[1] == "http" and not _is_loopback(host):
            raise BadInput("a token would be sent unencrypted", field="remote", fix="Use https.")
        return Remote(url, "https" if found[1] == "https" else "http", f"{found[1]}://{host}{found[3] or ''}")
    if SSH.fullmatch(url) or SCP.fullmatch(url):
        return Remote(url, "ssh")
    if FILE.fullmatch(url) and ".." not in PurePosixPath(url).parts:
        return Remote(url, "file")
    fix = "Write `https://host/a.git`, `ssh://git@host/a.git`, `git@host:a.git` or `file:///a`, without a password; the token is a field."
    raise BadInput("this is not an address of a repository, or it holds credentials", field="remote", fix=fix)


def plain_remote(url: str) -> str:
    """Write an address without what does not change where it leads, for a comparison: scheme, user, usual port, case, `.git`.

    By ssh every port is left out, as it is another one than that of https on the same host. Case counts in a folder of this machine only:
    the usual forges ignore it, and to take one repository for two would let a service commit to another one's.
    """
    plain = url.strip()
    found = PLACE.fullmatch(plain if FILE.fullmatch(plain) else plain.lower())
    if found is None:
        return url
    host = re.sub(r":(80|443)$", "", found[1] or found[2] or "")
    return f"{host}/{posixpath.normpath(unquote(found[3])).strip('/').removesuffix('.git')}"


def check_branch(branch: str) -> str:
    """Check a branch's name, as `git check-ref-format` does but for letters outside ASCII.

    Raises:
        BadInput: It is not a plain name of a branch.
    """
    plain = re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._/+-]{0,199}", branch)
    if not plain or ".." in branch or "//" in branch or branch.endswith(("/", ".", ".lock")) or "/." in branch or ".lock/" in branch:
        raise BadInput(f"{branch!r} is not a plain name of a branch", field="branch", fix="Write it without `refs/heads/`, as `main`.")
    return branch


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
