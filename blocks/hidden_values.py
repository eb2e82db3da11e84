"""Values that the API must not show: a block with a dictionary of secrets says so in a way that Prefect's server understands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_origin

from prefect.blocks.core import Block, schema_extra


def hide_values(schema: dict[str, Any], model: type[Block]) -> None:
    """Name every value of a dictionary of secrets as a secret field; for `json_schema_extra` of a block.

    Prefect names the dictionary alone, and its server then hides nothing: `block_documents/filter` shows the values to whoever asks.
    """
    schema_extra(schema, model)
    dictionaries = {name for name, field in model.model_fields.items() if get_origin(field.annotation) in {dict, Mapping}}
    schema["secret_fields"] = [f"{name}.*" if name in dictionaries else name for name in schema["secret_fields"]]
