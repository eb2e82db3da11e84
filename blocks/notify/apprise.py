"""Apprise block: a receiver by the address of any service that Apprise knows, as mail, Slack, Teams, PagerDuty or a webhook."""

from __future__ import annotations

from typing import Annotated, ClassVar

from prefect.blocks.notifications import AbstractAppriseNotificationBlock
from pydantic import ConfigDict, Field, SecretStr, field_validator

from blocks.errors import BadInput


class Apprise(AbstractAppriseNotificationBlock):
    """A receiver by an address of Apprise (https://appriseit.com/services/): `mailtos://user:password@example.org`, `workflows://…`.

    Example:
        ```python
        await Apprise(url="mailtos://user:password@example.org?to=team@example.org").save("mail")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Apprise"
    _block_type_slug: ClassVar[str | None] = "apprise"
    _description: ClassVar[str | None] = "A receiver of messages by an address of Apprise."

    model_config = ConfigDict(hide_input_in_errors=True)

    url: Annotated[SecretStr, Field(description="The address, with what authenticates: it is a secret as a whole.")]

    @field_validator("url")
    @classmethod
    def _is_known(cls, url: SecretStr) -> SecretStr:
        from apprise import Apprise as Addresses  # noqa: PLC0415 - it takes half a second

        if not Addresses().add(url.get_secret_value()):
            fix = "Write it as https://appriseit.com/services/ shows for the service, as `mailtos://user:password@example.org`"
            raise ValueError(str(BadInput("this is not an address that Apprise knows", field="url", fix=fix)))
        return url
