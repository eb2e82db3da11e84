"""The process that serves Prefect's API and UI. Run as `python -m blocks.server.api_process HOME`."""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn

from blocks.server import exposition, guard, layout, port

STOP_SECONDS = 5


def main(home: Path) -> None:
    """Serve in the foreground, on the port that the server stack holds."""
    facts = layout.read_facts(home)

    def application() -> guard.Application:
        from prefect.server.api.server import create_app  # noqa: PLC0415 - slow to import

        served = exposition.with_metrics(create_app(), home=home)
        if not facts["auth"]:
            served = guard.only_from_here(served, port=facts["port"])
        return guard.with_page_headers(served, port=facts["port"])

    config = uvicorn.Config(application, factory=True, log_level="warning", timeout_graceful_shutdown=STOP_SECONDS, **guard.WEBSOCKETS)
    uvicorn.Server(config).run(sockets=[port.bind(facts["port"], home=home)])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
