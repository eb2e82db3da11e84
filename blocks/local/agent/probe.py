"""One question to a revision: is it ready, and does it answer at all?"""

from __future__ import annotations

from aiohttp import ClientError, ClientSession, ClientTimeout

from blocks.local.state.file import Revision

PROBE_TIMEOUT_SECONDS = 2.0


async def is_ready(session: ClientSession, revision: Revision) -> bool:
    """Ask a revision once whether it is ready."""
    status = await _status(session, revision)
    return status is not None and 200 <= status < 300  # noqa: PLR2004 - a redirect is not an answer of its own


async def answers(session: ClientSession, revision: Revision) -> bool:
    """Ask a revision once whether it answers at all."""
    return await _status(session, revision) is not None


async def _status(session: ClientSession, revision: Revision) -> int | None:
    url = f"http://127.0.0.1:{revision['port']}{revision['specification']['ready_path']}"
    try:
        async with session.get(url, timeout=ClientTimeout(total=PROBE_TIMEOUT_SECONDS), allow_redirects=False) as answer:
            return answer.status
    except (ClientError, TimeoutError, OSError):
        return None
