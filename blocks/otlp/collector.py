"""Collector block: where the trace of each release goes, by the OpenTelemetry protocol (OTLP) over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from prefect.blocks.core import Block
from pydantic import ConfigDict, Field, SecretStr, field_validator

from blocks.errors import Temporary
from blocks.extras import require
from blocks.hidden_values import hide_values
from blocks.sending import send_by

PROGRAM = "blocks.otlp.sending_process"


class Collector(Block):
    """A collector of OpenTelemetry. The block `otlp/shipway` gets the trace of every release; without it none is sent.

    Example:
        ```python
        await Collector(endpoint="http://collector.monitoring:4318/v1/traces").save("shipway")
        ```
    """

    _block_type_name: ClassVar[str | None] = "OpenTelemetry collector"
    _block_type_slug: ClassVar[str | None] = "otlp"
    _description: ClassVar[str | None] = "A collector that gets the trace of each release by OTLP over HTTP."
    model_config = ConfigDict(json_schema_extra=hide_values, hide_input_in_errors=True)

    endpoint: Annotated[str, Field(pattern=r"^https?://[^\s@]+$", max_length=2_000)] = Field(
        description="The whole address, as `http://collector.monitoring:4318/v1/traces`."
    )

    @field_validator("endpoint")
    @classmethod
    def _has_no_key(cls, value: str) -> str:
        if "?" in value or "#" in value:
            raise ValueError("an address has no `?` and no `#` here, as it is not secret; write a key into `headers`")
        return value

    headers: dict[str, SecretStr] = Field(default_factory=dict, description="Headers of each request, as `Authorization`.")

    async def export(self, trace: str, spans: Sequence[Mapping[str, Any]]) -> None:
        """Send the spans of one trace, in a process of its own, as the library waits in threads that no time limit ends.

        Args:
            trace: The trace's id, 32 hexadecimal digits.
            spans: As `blocks.otlp.sending_process` takes them.

        Raises:
            BadInput: The extra `otlp` is not installed.
            Temporary: The collector did not take them.
        """
        require("otlp", field="otlp/shipway", otherwise="Or remove the block")
        headers = {name: value.get_secret_value() for name, value in self.headers.items()}
        try:
            fault = await send_by(PROGRAM, {"endpoint": self.endpoint, "headers": headers, "trace": trace, "spans": list(spans)})
        except Temporary as error:
            fault = str(error)
        if fault:
            raise Temporary(f"the collector did not take the trace: {fault}", delay_seconds=60)
