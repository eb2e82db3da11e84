"""What an answer of the API server means for whoever asked."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import Any

import pytest
from urllib3 import HTTPResponse

from blocks.errors import BadInput, RolloutFailed, ShipwayError, Unreachable
from blocks.kubernetes.api.client import Cluster
from blocks.kubernetes.api.errors import Changed, Expired, Missing, Owned, error_of

WHAT = "PATCH shop/deployments/web"
RBAC = 'deployments.apps "web" is forbidden: User "system:serviceaccount:shop:ci" cannot patch resource "deployments" in API group "apps"'
QUOTA = 'pods "web-1" is forbidden: exceeded quota: small, requested: pods=1, used: pods=4, limited: pods=4'
POLICY = "deployments.apps \"web\" is forbidden: ValidatingAdmissionPolicy 'most' with binding 'most' denied request: at most four"
WEBHOOK = 'admission webhook "policy.example" denied the request: no'
TERMINATING = "unable to create new content in namespace shop because it is being terminated"


def status(message: str, **more: Any) -> bytes:
    """Write a Status as the API server does."""
    return json.dumps({"kind": "Status", "status": "Failure", "message": message, **more}).encode()


@pytest.mark.parametrize(
    ("code", "content", "kind", "words"),
    [
        (401, status("Unauthorized"), BadInput, "still valid"),
        (403, status(RBAC), BadInput, '{apiGroups: ["apps"], resources: ["deployments"], verbs: ["patch"]}'),
        (403, status(QUOTA), RolloutFailed, "exceeded quota: small"),
        (403, status(TERMINATING), RolloutFailed, "being terminated"),
        (404, status('deployments.apps "web" not found'), Missing, "does not exist"),
        (409, status("the object has been modified; please apply your changes to the latest version"), Changed, "modified"),
        (409, status('deployments.apps "web" already exists'), Changed, "already exists"),
        (410, status("too old resource version: 1 (2)"), Expired, "too old"),
        (422, status("spec.replicas: Invalid value: -1"), BadInput, "invalid"),
        (422, status(POLICY), RolloutFailed, "at most four"),
        (403, status(WEBHOOK), RolloutFailed, "admission rejects it"),
        (400, status(WEBHOOK), RolloutFailed, "admission rejects it"),
        (429, status("too many requests"), Unreachable, "429"),
        (500, status("etcdserver: request timed out"), Unreachable, "timed out"),
        (503, b"<html>Service Unavailable</html>", Unreachable, "503"),
        (504, b"", Unreachable, "504"),
        (415, status("unsupported media type"), RolloutFailed, "415"),
        (404, b"[]", Missing, "does not exist"),
    ],
)
def test_an_answer_says_what_its_catcher_should_do(code: int, content: bytes, kind: type[ShipwayError], words: str) -> None:
    """Each answer becomes the error of whoever can fix it, with the request and the server's words in it."""
    error = error_of(code, content, what=WHAT)
    assert type(error) is kind
    assert words in str(error)


def test_an_invalid_object_names_its_field() -> None:
    """The first cause of the server is the place that a person looks for."""
    error = error_of(422, status("no", details={"causes": [{"field": "spec.template.spec.containers[0].image"}]}), what=WHAT)
    assert isinstance(error, BadInput)
    assert error.field == "spec.template.spec.containers[0].image"


def test_a_conflict_of_managers_names_fields_and_managers_once() -> None:
    """It is not a race that another try wins: another manager holds the field."""
    causes = [
        {"reason": "FieldManagerConflict", "message": 'conflict with "argocd" using apps/v1', "field": ".spec.replicas"},
        {"reason": "FieldManagerConflict", "message": 'conflict with "argocd" using apps/v1', "field": ".spec.template"},
    ]
    error = error_of(409, status("Apply failed with 2 conflicts", details={"causes": causes}), what=WHAT)
    assert isinstance(error, Owned)
    assert error.managers == ("argocd",)
    assert ".spec.replicas, .spec.template belong to argocd" in str(error)


def test_a_long_answer_fits_on_a_screen() -> None:
    """Whoever answers with a page of text does not fill the log."""
    assert len(str(error_of(500, b"x" * 100_000, what=WHAT))) < 800


def test_an_api_server_that_has_not_loaded_its_roles_is_asked_again() -> None:
    """In the first moments after its start it denies everything, and says why."""
    said = 'deployments.apps is forbidden: User "u" cannot get resource "deployments" in API group "apps": RBAC: role "shipway" not found'
    assert isinstance(error_of(403, json.dumps({"message": said}).encode(), what="GET"), Unreachable)


class Refusing:
    """A client of which the server does not accept the credentials."""

    def __init__(self, status: int, body: bytes = b'{"metadata": {}}') -> None:
        """Answer with this status."""
        self.status, self.body, self.configuration = status, body, SimpleNamespace(host="here")

    def param_serialize(self, _: str, path: str, **__: Any) -> tuple[str, str, dict[str, str], None, None]:
        """Sign nothing."""
        return "", path, {}, None, None

    def call_api(self, *_: Any, **__: Any) -> Any:
        """Answer."""
        return SimpleNamespace(response=HTTPResponse(io.BytesIO(self.body), status=self.status, preload_content=False))


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"[1]", b"null", b"7", b"{}", b'{"version": "x"}', b'{"metadata": 7, "items": {}}', b"[" * 99_999]
)
async def test_an_answer_that_is_not_an_object_of_a_cluster_is_asked_for_again(body: bytes) -> None:
    """As a login page or a proxy in between gives one."""
    cluster = Cluster(Refusing(200, body), "shop")
    with pytest.raises(Unreachable):
        await cluster.read("Pod", "web")
    with pytest.raises(Unreachable):
        await cluster.list("Pod")


async def test_a_token_that_was_replaced_is_read_once_more() -> None:
    """The first 401 makes a fresh client; a second one is the operator's to fix."""
    made: list[int] = []

    def renew(status: int) -> Any:
        made.append(status)
        return Refusing(status)

    well = Cluster(Refusing(401), "shop", renew=lambda: renew(200))
    assert await well.read("Pod", "web") == {"metadata": {}}
    assert await well.read("Pod", "web") == {"metadata": {}}
    assert made == [200]
    for renewing in (None, lambda: renew(401)):
        with pytest.raises(BadInput, match="does not accept the credentials"):
            await Cluster(Refusing(401), "shop", renew=renewing).read("Pod", "web")
