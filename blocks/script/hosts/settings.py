"""The hosts of an environment, as its block names them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from blocks.script.hosts.names import HostName, read_name
from blocks.script.settings import Scripts, fault

HostText = Annotated[str, Field(min_length=1, max_length=320)]


def expect_meant(hosts: Sequence[str], jump_hosts: Sequence[str], *, user: str, scripts: Scripts) -> None:
    """Expect names that are hosts, none twice, and scripts that mean something there.

    Raises:
        PydanticCustomError: It is otherwise; says what to write instead.
    """
    for name in ("shift", "promote"):
        if getattr(scripts, name):
            raise fault(f"`{name}` means nothing on hosts", fix="Remove it: the hosts that run a version make its share.")
    where: dict[HostName, str] = {}
    for number, host in enumerate((*hosts, *jump_hosts)):
        try:
            found = read_name(host)
        except ValueError as error:
            raise fault(str(error), fix="Fix its name.") from None
        if not (found.user or user):
            raise fault(f"{host} names no user", fix="Write `USER@HOST`, or give the block a `user`.")
        if (
            number < len(hosts)
            and (other := where.setdefault(found._replace(user=found.user or user), host))
            and number > hosts.index(other)
        ):
            raise fault(f"{other} and {host} are the same host", fix="Leave one of them.")
