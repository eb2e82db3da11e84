"""HTTP checks: one request with its headers, secrets and body, bounded in time and size, judged by the plan's expectations."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from pydantic import SecretStr

from blocks.bounded import PLAIN, read_chunks
from blocks.errors import BadInput
from blocks.outside_text import LINE_LIMIT, OutsideText, outside, without_bytes
from tasks.process.tls import trust
from tasks.rollout.credentials import load_credential
from tasks.rules.evidence.dependencies import may_follow
from tasks.rules.plan.credentials import Receiver, Use, uses_in
from tasks.rules.plan.http import HttpCheck, HttpRequest, header_value_fault
from tasks.rules.record.masking import mask, secrets_in_header
from tasks.rules.verification.http_check import BODY_LIMIT_BYTES, Answer, fault_of_answer, path_of

AT_ONCE = 50
KEPT_OF_LONG_BYTES = 1_000
SHOWN_CHARACTERS = 500
NO_ANSWER = "gave no answer: "
OURS = {"User-Agent": "shipway", **PLAIN}
Secrets = Mapping[str, SecretStr]


@dataclass(frozen=True)
class Asker:
    """An open client with the secrets that its requests name, by block.

    Fields:
        client: As `http_client` makes it: it follows no redirect by itself and has no time limit of its own.
        secrets: As `load_secrets` reads them.
    """

    client: httpx.AsyncClient
    secrets: Secrets = field(default_factory=dict)

    async def check(self, check: HttpCheck, base: str, *, version: str, timeout_seconds: float, any_length: bool = False) -> Checked:
        """Send a check to a revision, and judge the answer.

        Args:
            check: The plan's entry.
            base: Base URL of the revision.
            version: Replaces `{version}`.
            timeout_seconds: The time-out.
            any_length: Whether a body without expectations may have any length.

        Returns:
            The answer, and what is wrong with it, fit to be shown; nothing that the server does raises.
        """
        answer = await self.ask(check, address_of(check, base, version), timeout_seconds=timeout_seconds)
        return Checked(answer, self.clean(fault_of_answer(answer, check.expect, version=version, any_length=any_length)))

    async def ask(self, request: HttpRequest, url: str, *, timeout_seconds: float, late: str = "", redirects: int = 0) -> Answer:
        """Send one request; never raises for what the server does.

        Args:
            request: The request.
            url: Where.
            timeout_seconds: The time-out.
            late: The message of a time-out.
            redirects: How many redirects of a GET are followed, on the same host; with 0 each is an answer.
        """
        start = time.monotonic()
        late = late or f"gave no answer within {timeout_seconds:g} s"
        try:
            async with asyncio.timeout(timeout_seconds):
                answer = await self._follow(request, httpx.URL(url), start, redirects)
        except TimeoutError:
            return Answer(None, time.monotonic() - start, error=late)
        except httpx.LocalProtocolError:  # its words hold the header, in spellings that cannot be foreseen
            wrong = "was not sent: a header or the body cannot be sent as it is written"
            return Answer(None, time.monotonic() - start, error=wrong, permanent=True)
        except httpx.InvalidURL as error:
            return Answer(None, time.monotonic() - start, error=f"the address cannot be used: {error}", permanent=True)
        except httpx.HTTPError as error:
            wrong, permanent = _in_words(error)
            return Answer(None, time.monotonic() - start, error=wrong, permanent=permanent)
        return answer

    async def _follow(self, request: HttpRequest, url: httpx.URL, start: float, redirects: int) -> Answer:
        follows = redirects > 0 and request.method in {"GET", "HEAD"}
        for _ in range(redirects + 1):
            async with self.client.stream(request.method, url, **self._content(request)) as response:
                if not (follows and response.has_redirect_location) or response.status_code in request.expect.status:
                    body, cut = await read_body(response)
                    return Answer(response.status_code, time.monotonic() - start, dict(response.headers), body, cut=cut)
                target = url.join(response.headers["location"])
            if not may_follow(str(url), str(target)):
                elsewhere = target.copy_with(query=None, userinfo=b"")
                wrong = f"redirects to {elsewhere}, another host; name the right address in the plan"
                return Answer(response.status_code, time.monotonic() - start, error=wrong, permanent=True)
            url = target
        wrong = f"redirects more than {redirects} times"
        return Answer(response.status_code, time.monotonic() - start, error=wrong, permanent=True)

    def _content(self, request: HttpRequest) -> dict[str, Any]:
        headers = request.headers | {name: self.secrets[block].get_secret_value() for name, block in request.secret_headers.items()}
        return {"headers": headers, "json": request.json_body, "content": request.body, "data": request.form}

    def clean(self, text: str) -> OutsideText:
        """Mask secrets before cutting, because half a secret is one, too, and again after removing escape sequences."""
        forms = [form for secret in self.secrets.values() for form in secrets_in_header(secret.get_secret_value())]
        clean = str(mask(outside(mask(text, forms), limit=len(text) + LINE_LIMIT, lines=True), forms))
        return outside(clean, limit=SHOWN_CHARACTERS, lines=True)


@dataclass(frozen=True)
class Checked:
    """Result of one check: the answer, and its fault in words without secrets, or ""."""

    answer: Answer
    fault: OutsideText


def address_of(check: HttpCheck, base: str, version: str) -> str:
    """Return the URL of a check at a revision."""
    return base.rstrip("/") + path_of(check, version)


@asynccontextmanager
async def http_client(*, environment: bool = False, certificates: ssl.SSLContext | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """Open a client for checks, with cookies of its own: no redirects, plain bodies, no time limit but that of each request.

    Args:
        environment: Whether proxies and certificates of the environment count, as for external services.
        certificates: The trusted authorities; None reads them.
    """
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    verify = certificates or await trust(environment=environment)
    async with httpx.AsyncClient(
        verify=verify,
        follow_redirects=False,
        trust_env=environment,
        limits=limits,
        timeout=None,  # noqa: S113
        headers=OURS,
    ) as client:
        yield client


async def read_body(response: httpx.Response) -> tuple[bytes, bool]:
    """Read a body as it comes over the wire, up to 1 MB; of a longer one the beginning is kept, and True says so."""
    body, cut = await read_chunks(response.aiter_raw(), most_bytes=BODY_LIMIT_BYTES)
    return body[:KEPT_OF_LONG_BYTES] if cut else body, cut


async def load_secrets(requests: Sequence[HttpRequest], *, field: str, receiver: Receiver) -> Secrets:
    """Load the values of secret headers, by block, right before they are sent; a redirect takes none of them to another host.

    Args:
        requests: The requests that name them.
        field: The plan's list of them, for the error.
        receiver: Who gets them.

    Raises:
        BadInput: A block does not exist, does not let its value go there, or its value cannot be a header's; the value itself is not shown.
    """
    uses = list(uses_in(((f"{field}[{number}]", request) for number, request in enumerate(requests)), receiver))
    names = sorted({use.credential for use in uses})
    return {name: await _load_secret([use for use in uses if use.credential == name]) for name in names}


async def _load_secret(uses: Sequence[Use]) -> SecretStr:
    value = (await load_credential(uses)).get_secret_value().strip()
    if header_value_fault(value):
        name, field = uses[0].credential, uses[0].field
        raise BadInput(f"the block {name} does not hold text that can be a header", field=field, fix="Store printable ASCII in one line.")
    return SecretStr(value)


def _in_words(error: httpx.HTTPError) -> tuple[str, bool]:
    """Return why there was no answer, and whether a retry is useless."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            fix = "renew it, or give this machine the authority's certificate in SSL_CERT_FILE"
            return f"{NO_ANSWER}its TLS certificate is not trusted ({cause.verify_message}); {fix}", True
        if isinstance(cause, ssl.SSLError):
            return f"{NO_ANSWER}TLS failed ({cause.reason or cause}); check that the address uses https", True
        cause = cause.__cause__ or cause.__context__
    return without_bytes(f"{NO_ANSWER}{type(error).__name__} {error}").strip(), False
