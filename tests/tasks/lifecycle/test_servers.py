"""Which Prefect server has an open run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from prefect import get_client
from prefect.exceptions import ObjectNotFound

from blocks.key_folder.kept_files import kept_names, write_kept
from blocks.server import api
from tasks.lifecycle.servers import FOLDER, WHAT, has_keeper, note_server, own_server, server_of_client
from tests.conftest import Server

LOST = httpx.ConnectError("connection refused")
FORBIDDEN, TAKEN, UNKNOWN = 403, 409, 422


class Answers:
    """A client whose server gives these answers, and may make its block types when asked."""

    def __init__(self, *answers: Any) -> None:
        """Begin with the first answer."""
        self.answers, self.asked = list(answers), list[str]()

    async def read_block_type_by_slug(self, _: str) -> Any:
        """Give the next answer."""
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(id=answer)

    async def request(self, _: str, path: str) -> None:
        """Note what is asked for."""
        self.asked.append(path)


@pytest.mark.parametrize(
    ("answers", "named", "made"),
    [
        (("a",), "a", False),
        ((ObjectNotFound(Exception()), "b"), "b", True),
        ((ObjectNotFound(Exception()), ObjectNotFound(Exception())), "", True),
        ((LOST,), "", False),
        ((ObjectNotFound(Exception()), LOST), "", True),
        ((TimeoutError(),), "", False),
    ],
    ids=["there", "made", "not made", "no connection", "lost meanwhile", "late"],
)
async def test_a_server_is_named_by_an_id_in_its_database(answers: tuple[Any, ...], named: str, *, made: bool) -> None:
    """It makes it if it is not there yet; without an answer it has no name, and nothing fails."""
    client: Any = Answers(*answers)
    assert await server_of_client(client) == named
    assert bool(client.asked) is made


@pytest.mark.usefixtures("offline")
async def test_without_a_server_there_is_no_name() -> None:
    """And none is started for it."""
    assert await own_server() == ""


@pytest.mark.server
async def test_the_api_cannot_take_a_servers_name_away(server: Server) -> None:
    """Nor choose it: who could would have this keeper take another server's runs for deleted, or leave its own alone."""
    name = await own_server()
    async with get_client() as client:
        same = {"name": "Webhook", "slug": api.IDENTITY}
        path = f"/block_types/{name}"
        for method, where, body, refused in (
            ("DELETE", path, None, FORBIDDEN),
            ("POST", "/block_types/", same, TAKEN),
            ("POST", "/block_types/", same | {"id": name}, UNKNOWN),
            ("PATCH", path, {"slug": "other"}, UNKNOWN),
        ):
            with pytest.raises(httpx.HTTPStatusError) as error:
                await client.request(method, where, json=body)  # type: ignore[arg-type]
            assert error.value.response.status_code == refused, (method, where)
        await client.request("POST", "/block_types/install_system_block_types")
    assert name
    assert await own_server() == name == api.server_id(server.home)


@pytest.mark.server
@pytest.mark.usefixtures("server")
async def test_the_keeper_of_a_server_is_noted_beside_the_key() -> None:
    """By which another server's doctor knows that it works."""
    await note_server()
    name = await own_server()
    assert name in kept_names(FOLDER)
    assert has_keeper(name)


@pytest.mark.parametrize(
    ("noted", "works"),
    [
        ({"at": 0}, True),
        ({"at": 9}, True),
        ({"at": 11}, False),
        ({"at": -11}, False),
        ({}, False),
        (None, False),
    ],
    ids=["now", "lately", "long ago", "in the future", "no time", "never"],
)
def test_a_keeper_works_if_it_noted_that_lately(noted: dict[str, int] | None, *, works: bool) -> None:
    """One of which that is not known does not work."""
    if noted is not None:
        written = {name: (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat() for name, minutes in noted.items()}
        write_kept(FOLDER, "s", written, what=WHAT)
    assert has_keeper("s") is works
