"""Parameters that a flow does not know: dropped for those that nothing may stop, where Prefect would let the run crash."""

from __future__ import annotations

import inspect
import logging
from typing import Any, TypeVar

from prefect import Flow

Known = TypeVar("Known", bound=Flow[..., Any])


def drops_unknown_parameters(flow: Known) -> Known:
    """Let a flow's runs ignore parameters that are not in its signature, in whichever process they run.

    The server gives a run the default parameters of its deployment, which whoever has the API's password can change.
    """
    names, validate = set(inspect.signature(flow.fn).parameters), flow.validate_parameters

    def known_only(parameters: dict[str, Any]) -> dict[str, Any]:
        if unknown := sorted(set(parameters) - names):
            words = ", ".join(repr(name)[:80] for name in unknown[:10])
            logging.getLogger("shipway").error("%s has no parameters %s; they are ignored. Find out who gave them", flow.name, words)
        return validate({name: value for name, value in parameters.items() if name in names})

    flow.validate_parameters = known_only  # type: ignore[method-assign]
    return flow
