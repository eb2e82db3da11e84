"""Where a run is seen."""

from __future__ import annotations

from prefect.settings import PREFECT_API_URL, PREFECT_UI_URL


def run_link(run: str) -> str:
    """Give the page of a run in the Prefect UI that has a Resume button.

    Args:
        run: Flow run id.
    """
    base = PREFECT_UI_URL.value() or (PREFECT_API_URL.value() or "").removesuffix("/").removesuffix("/api")
    return f"{base.rstrip('/')}/runs/flow-run/{run}"
