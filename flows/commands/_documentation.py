"""Where the pages that document deployments are committed: whether the plan's Git block takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.rules.plan.plan import Plan


def ask_repository(plan: Plan) -> tuple[list[str], list[str]]:
    """Load the Git block to which a plan's pages are committed from the configured Prefect server; nothing is committed.

    Args:
        plan: The plan.

    Returns:
        A problem if it is not there or not for this service, and a note if the server could not be asked.
    """
    import asyncio

    from blocks.errors import BadInput, ShipwayError

    if plan.documentation.git is None:
        return [], []
    try:
        asyncio.run(_ask(plan.documentation.git, plan.service))
    except BadInput as error:
        return [str(error)], []
    except ShipwayError as error:
        return [], [f"the repository of the pages was not checked: {error}"]
    return [], []


async def _ask(name: str, service: str) -> None:
    from tasks.documentation.commit import repository_of_pages
    from tasks.lifecycle.server import server

    async with server():
        await repository_of_pages(name, service=service)
