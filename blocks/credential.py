"""Credential block: a secret value with its bounds: for which services it is, and to which hosts and platforms it may go."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from prefect.blocks.core import Block
from pydantic import Field, SecretStr, model_validator

_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
HOST = rf"^(https?://)?({_LABEL}(\.{_LABEL})*|\*(\.{_LABEL}){{2,10}}|\[[0-9a-f:.]{{2,45}}\])(:[0-9]{{1,5}})?$"
SERVICE = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
PLATFORM = r"^[a-z0-9-]+/[a-z0-9-]+$"


class Credential(Block):
    """A secret that a plan may name: the value of a header, or the address of a database or a calendar. It goes nowhere else.

    Example:
        ```python
        await Credential(value="Bearer …", services=["shop"], hosts=["accounts.example.org"]).save("accounts-token")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Credential"
    _block_type_slug: ClassVar[str | None] = "credential"
    _description: ClassVar[str | None] = "A secret that plans may name, with the services, hosts and platforms that it is for."

    value: SecretStr = Field(description="A header's whole value (`Bearer …`), or the address of a database or a calendar.")
    services: Annotated[list[Annotated[str, Field(pattern=SERVICE)]], Field(min_length=1, max_length=200)] = Field(
        description="The services whose plans may name it; at least one, there are no patterns."
    )
    hosts: Annotated[list[Annotated[str, Field(pattern=HOST)]], Field(max_length=100)] = Field(
        default_factory=list,
        description="Hosts that may get it, as `accounts.example.org` or `accounts.example.org:8443`, over https; with `http://` "
        "before it over plain http. `*.example.org` stands for one more label.",
    )
    platforms: Annotated[list[Annotated[str, Field(pattern=PLATFORM, max_length=200)]], Field(max_length=200)] = Field(
        default_factory=list,
        description="Platform blocks, as `local/shop-staging`, whose versions may get it in checks, and for whose data its database is.",
    )

    @model_validator(mode="after")
    def _goes_somewhere(self) -> Self:
        if not self.hosts and not self.platforms:
            wrong = "neither `hosts` nor `platforms` names where it may go"
            raise ValueError(wrong)
        return self
