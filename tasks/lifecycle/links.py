"""Where a run is seen."""

from __future__ import annotations

from prefect.settings import PREFECT_API_URL, PREFECT_UI_URL


def run_link(run: str) -> str:
    """Give the page of a run in the Prefect UI; a waiting run is answered by the menu behind its three dots, Resume.

    Args:
        run: Flow run id.
    """
    base = PREFECT_UI_URL.value() or (PREFECT_API_URL.value() or "").removesuffix("/").removesuffix("/api")
    return f"{base.rstrip('/')}/v2/runs/flow-run/{run}"
