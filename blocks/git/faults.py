"""What git says about a remote that it cannot read, as an error that says what to do. Only fetches are judged, never pushes."""

from __future__ import annotations

import re

from blocks.errors import BadInput, Permanent, Refused, ShipwayError, Temporary, Unreachable, refusing
from blocks.git.process import Ended

# The first that is found counts. Servers word their refusals of pushes as they like; these are git's, curl's and ssh's words for fetches.
REFUSED = re.compile(
    r"authentication failed|could not read (username|password)|returned error: 40[13]|permission denied|too many authentication failures"
    r"|access denied|invalid format|error in libcrypto|incorrect passphrase",
    re.IGNORECASE,
)
UNTRUSTED = re.compile(r"host key verification failed|certificate|no .* host key is known|ssl peer", re.IGNORECASE)
ABSENT = re.compile(
    r"returned error: 404|repository .* not found|does not appear to be a git repository|does not exist|no such file", re.IGNORECASE
)
NO_BRANCH = re.compile(r"remote branch .* not found|couldn't find remote ref", re.IGNORECASE)
MOVED = re.compile(r"unable to update url base from redirection|returned error: 30\d", re.IGNORECASE)
AWAY = re.compile(
    r"could not resolve|couldn't connect|failed to connect|connection (refused|timed out|reset|closed)|no route to host"
    r"|network is unreachable|operation timed out|temporary failure in name resolution|returned error: 50[234]",
    re.IGNORECASE,
)
LAST_WORDS = 400


def fault_of(ended: Ended, *, what: str, secrets: tuple[str, ...]) -> ShipwayError:
    """Make an error of a fetch that failed.

    Args:
        ended: How git ended.
        what: The remote and branch, for the message.
        secrets: What must not stand in the message.
    """
    if ended.exit_code is None:
        return Unreachable(f"{what} did not answer: {ended.said}")
    said = words_of(ended, secrets=secrets)
    if UNTRUSTED.search(said):
        return Refused(f"{what} is not trusted: {said}. Check the host, then set `known_hosts` or the certificates")
    if NO_BRANCH.search(said):
        return BadInput(f"{what} has no such branch", field="branch", fix="Make the branch with a first commit, or name another one.")
    if REFUSED.search(said):
        return refusing(Refused(f"{what} refused the credentials: {said}. Check the token or key, and its rights"))
    if MOVED.search(said):
        return BadInput(f"{what} is redirected, which is not followed", field="remote", fix="Write the final address; many end in `.git`.")
    if AWAY.search(said):
        return Unreachable(f"{what} does not answer: {said}")
    if ABSENT.search(said):
        return Permanent(f"{what} is not there, or not for this account: {said}. Check the address")
    return Temporary(f"{what} could not be read: {said}")


def words_of(ended: Ended, *, secrets: tuple[str, ...]) -> str:
    """Give git's last words in one line, without secrets."""
    said = ended.said
    for secret in secrets:
        for part in {secret, *secret.splitlines()}:
            if part.strip():
                said = said.replace(part.strip(), "…")
    said = re.sub(r"(?<=://)[^/\s@]+@", "", said)
    return " ".join(said.split())[-LAST_WORDS:]
