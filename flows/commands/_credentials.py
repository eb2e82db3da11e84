"""Whether the blocks of the credentials that a plan names let their values go where the plan sends them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # models take time that `shipway --help` does not have
    from tasks.rules.plan.plan import Plan


def ask_credentials(plan: Plan, *, online: bool) -> tuple[list[str], list[str]]:
    """Look at the blocks through the configured Prefect server.

    Args:
        plan: The plan.
        online: Whether a Prefect server is configured, which has the blocks.

    Returns:
        Problems: the first use that a block does not allow. Notes: why it is not known.
    """
    import asyncio

    from blocks.errors import BadInput, ShipwayError
    from tasks.rules.plan.credentials import uses_of

    if not (uses := uses_of(plan)):
        return [], []
    if not online:
        names = ", ".join(sorted({use.credential for use in uses}))
        return [], [f"whether {names} may go where the plan sends them is not known: no Prefect server is configured, which has the blocks"]
    try:
        asyncio.run(_ask(plan))
    except BadInput as error:
        return [str(error)], []
    except ShipwayError as error:
        return [], [f"the credentials were not looked at: {error}"]
    return [], []


async def _ask(plan: Plan) -> None:
    from tasks.lifecycle.server import server
    from tasks.rollout.credentials import expect_credentials

    async with server():
        await expect_credentials.fn(plan)
