"""The secrets of the storage of results and records may be rotated, and its key replaced; its address never changes by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prefect.filesystems import WritableFileSystem
from pydantic import SecretStr

from blocks import secret_text
from blocks.errors import Refused, Temporary
from blocks.key_folder.kept_files import kept_path, read_kept
from blocks.key_folder.key_file import create_key, key_path
from blocks.server.result_block import FOLDER, WHAT, address_of, file_of
from tasks.record import kept_storage
from tasks.record.kept_storage import KeptBlock, find_storage
from tasks.record.objects import NoStorage, StorageFault

NAME = "vault/results"


class Vault(WritableFileSystem):
    """A storage that takes one secret at each address."""

    _block_type_name = "Vault of a test"
    address: str
    secret: SecretStr

    def _resolve_path(self, path: str) -> str:
        return path

    async def read_path(self, path: str) -> bytes:
        """Read, if the secret is the right one."""
        self.expect_right()
        if path not in World.objects:
            raise FileNotFoundError(path)
        return World.objects[path]

    async def write_path(self, path: str, content: bytes) -> None:
        """Write, if the secret is the right one."""
        self.expect_right()
        World.objects[path] = content

    def expect_right(self) -> None:
        """Refuse a wrong secret, as S3 does."""
        if World.right.get(self.address) != self.secret.get_secret_value():
            raise PermissionError("403")


class World:
    """What the server has, which secrets are right, and what is stored."""

    document: dict[str, Any]
    right: dict[str, str]
    objects: dict[str, bytes]
    asked: int


@pytest.fixture(autouse=True)
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    monkeypatch.setattr(secret_text, "_known", set())  # these secrets are words of other tests
    create_key(key_path())
    World.right, World.objects, World.asked = {"here": "first"}, {"a": b"content"}, 0
    on_the_server("here", "first")

    def ask(name: str) -> dict[str, Any]:
        assert name == NAME
        World.asked += 1
        if not World.document:
            raise Temporary("the server does not answer")
        return World.document

    monkeypatch.setattr(kept_storage, "_ask", ask)
    monkeypatch.setattr(kept_storage, "_load", lambda document: Vault.model_validate(document["data"]))


def on_the_server(address: str, secret: str) -> None:
    """Let the block be this one on the server."""
    World.document = {"block_type_name": "vault", "data": {"address": address, "secret": secret}}


def found() -> KeptBlock:
    """Find the storage as a new process does."""
    storage = find_storage(NAME)
    assert isinstance(storage, KeptBlock)
    return storage


def kept_secret() -> str:
    """Give the secret that is kept."""
    kept = read_kept(FOLDER, file_of(NAME), what=WHAT)
    assert kept is not None
    return str(kept["document"]["data"]["secret"])


@pytest.mark.parametrize("is_running", [True, False])
async def test_secrets_that_are_refused_are_replaced_by_those_of_the_block(*, is_running: bool) -> None:
    """Of a process that runs, and of a new one; the next one finds those that serve."""
    before = found()
    assert await before.read("a") == b"content"
    World.right["here"] = "second"
    on_the_server("here", "second")
    storage = before if is_running else found()
    assert await storage.read("a") == b"content"
    assert await storage.create("b", b"more")
    asked = World.asked
    assert await found().read("b") == b"more"
    assert (kept_secret(), World.asked) == ("second", asked)


async def test_secrets_that_serve_stay_whatever_the_block_has_now() -> None:
    """The server is not asked."""
    assert await found().read("a") == b"content"
    asked = World.asked
    on_the_server("here", "of others")
    assert await found().read("a") == b"content"
    assert (kept_secret(), World.asked) == ("first", asked)


@pytest.mark.parametrize(
    ("address", "secret", "says"),
    [
        ("elsewhere", "second", "leads elsewhere by now. If that is right, remove the file"),
        ("here", "first", "on the server it is the same"),
        ("here", "wrong", "do not serve either"),
        ("", "", "is not known"),
    ],
)
async def test_a_storage_that_refuses_names_its_file_and_the_cause(address: str, secret: str, says: str) -> None:
    """Nothing else is read or written, and what is kept stays."""
    storage = found()
    World.right = {"here": "second", "elsewhere": "second"}
    on_the_server(address, secret)
    World.document = World.document if address else {}
    with pytest.raises(StorageFault) as error:
        await storage.read("a")
    assert str(kept_path(FOLDER, file_of(NAME))) in str(error.value)
    assert says in str(error.value)
    with pytest.raises(StorageFault):
        await storage.replace("a", b"else")
    assert (World.objects, kept_secret()) == ({"a": b"content"}, "first")


@pytest.mark.parametrize(("address", "goes_on"), [("here", True), ("elsewhere", False)])
async def test_under_another_key_it_is_kept_anew_where_it_led(address: str, *, goes_on: bool) -> None:
    """What was kept cannot be read any more; a block that was led elsewhere meanwhile is refused."""
    found()
    key_path().unlink()
    create_key(key_path())
    World.right["elsewhere"] = "second"
    on_the_server(address, "first" if goes_on else "second")
    storage = find_storage(NAME)
    assert isinstance(storage, KeptBlock) is goes_on
    if goes_on:
        assert (await storage.read("a"), kept_secret()) == (b"content", "first")
        return
    assert isinstance(storage, NoStorage)
    with pytest.raises(Refused, match="was not written under the key"):
        await storage.read("a")


BUCKET = {
    "bucket_name": "results",
    "credentials": {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "eu", "aws_client_parameters": {"verify": True}},
}


def changed(*path: str, to: Any) -> dict[str, Any]:
    """Give the bucket with one field changed."""
    *parts, last = path
    found: dict[str, Any] = {**BUCKET, "credentials": {**BUCKET["credentials"]}}  # type: ignore[dict-item]
    place = found
    for part in parts:
        place = place[part]
    place[last] = to
    return found


@pytest.mark.parametrize(
    ("data", "is_same"),
    [
        (BUCKET, True),
        (changed("credentials", "aws_access_key_id", to="c"), True),
        (changed("credentials", "aws_secret_access_key", to="c"), True),
        (changed("credentials", "aws_session_token", to="of an hour"), True),
        (changed("credentials", "aws_secret_access_key", to=None), True),
        (changed("bucket_name", to="other"), False),
        (changed("credentials", "region_name", to="us"), False),
        (changed("credentials", "aws_client_parameters", to={"endpoint_url": "https://evil.example"}), False),
        (changed("credentials", "token", to={"endpoint_url": "https://evil.example"}), False),
        (changed("credentials", "connection_string", to="AccountKey=x;BlobEndpoint=https://evil.example"), False),
        (changed("bucket_folder", to="other"), False),
    ],
)
def test_a_block_leads_to_the_same_place_if_only_its_secrets_differ(data: dict[str, Any], *, is_same: bool) -> None:
    """Fields that name who asks; all others may say where."""
    assert (address_of({"data": data}) == address_of({"data": BUCKET})) is is_same
    assert address_of({"data": BUCKET, "block_type_name": "other"}) != address_of({"data": BUCKET})
