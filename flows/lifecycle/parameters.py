"""Parameters that a flow does not know: dropped for those that nothing may stop, where Prefect would let the run crash."""

from __future__ import annotations

import inspect
import logging
from typing import Any, TypeVar

from prefect import Flow, flow_engine

Known = TypeVar("Known", bound=Flow[..., Any])
TOLERANT: set[str] = set()  # names of flows
_flow_parameters = flow_engine._flow_parameters  # noqa: SLF001 - there is no setting for it


def drops_unknown_parameters(flow: Known) -> Known:
    """Let a flow's runs ignore parameters that are not in its signature, in whichever process they run.

    The server gives a run the default parameters of its deployment, which whoever has the API's password can change.
    """
    TOLERANT.add(flow.name)
    return flow


def known_only(flow: Flow[..., Any], flow_run: Any, parameters: dict[str, Any] | None) -> dict[str, Any]:
    """Give the parameters with which Prefect's engine runs a flow: what it does before it looks at the signature."""
    given = parameters or (flow_run.parameters if flow_run else {})
    names = set(inspect.signature(flow.fn).parameters)
    unknown = sorted(set(given) - names) if flow.name in TOLERANT else []
    if unknown:
        words = ", ".join(repr(name)[:80] for name in unknown[:10])
        logging.getLogger("shipway").error("%s has no parameters %s; they are ignored. Find out who gave them", flow.name, words)
        parameters = {name: value for name, value in given.items() if name in names}
        flow_run = flow_run.model_copy(update={"parameters": parameters}) if flow_run else None
    return _flow_parameters(flow=flow, flow_run=flow_run, parameters=parameters)


flow_engine._flow_parameters = known_only  # noqa: SLF001
