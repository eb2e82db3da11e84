"""Plan types: the base of its sections, its kinds of text, and their faults in plain words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from tasks.rules.plan.paths import path_fault
from tasks.rules.plan.version import VERSION_PATTERN, specifier_fault

NAME = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
TARGET = r"^[a-z0-9]+(-[a-z0-9]+)*$"
PERSON = r"^[a-z0-9]([a-z0-9._@-]{0,62}[a-z0-9])?$"
BLOCK = r"^[a-z0-9-]+/[a-z0-9-]+$"
CREDENTIAL = r"^credential/[a-z0-9-]+$"
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
HOST = rf"^(https?://)?({_LABEL}(\.{_LABEL})*|\*(\.{_LABEL}){{2,10}}|\[[0-9a-f:.]{{2,45}}\])(:[0-9]{{1,5}})?$"
TABLE = r"^([A-Za-z_][A-Za-z0-9_]*\.)?[A-Za-z_][A-Za-z0-9_]*$"
URL = r"^https?://[^\s/@?#]+([/?][^\s#]*)?$"
URL_PATH = r"^/[^\s#]*$"
METRIC = r"^[a-zA-Z_:][a-zA-Z0-9_:]*$"
LABEL = r"^[a-zA-Z_][a-zA-Z0-9_]*$"
TAG = r"\{version\}"
WALL_TIME = r"^20\d\d-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?)?$"
CLOCK = r"^([01]\d|2[0-3]):[0-5]\d$"
FOLDER = r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$"
SIGNER = r"^[A-Za-z0-9][A-Za-z0-9._@+-]* [a-z0-9@.-]+ [A-Za-z0-9+/]+={0,3}$"
PATTERN_WORDS = {
    NAME: "Write lower-case letters, digits and inner dashes, 63 at most, as `guestbook`.",
    TARGET: "Write lower-case letters and digits, with single dashes inside, 30 at most, as `eu-west`.",
    PERSON: "Write the name as enrolled: lower-case letters, digits and inner . _ @ -, as `ada`.",
    BLOCK: "Write a Prefect block as `type/name`, as `local/guestbook-production`.",
    CREDENTIAL: "Write a credential block, as `credential/guestbook-production-database`; `shipway credential NAME` makes one. A block of "
    "Prefect's type Secret does not say where its value may go.",
    TABLE: "Write a table's name, with its schema if it has one, as `entries` or `public.entries`.",
    URL: "Write http:// or https://, a host and a path, without a user, a password or spaces.",
    URL_PATH: "Write a path that begins with a slash, as `/healthz`.",
    METRIC: "Write a metric's name without braces, as `http_requests_total`.",
    LABEL: "Write a label's name, as `status`.",
    TAG: "Write the tag's name with `{version}` in it, as `v{version}`.",
    WALL_TIME: "Write a date and a time of the wall in quotes, as `2026-12-20T18:00`, or a date alone for its midnight.",
    CLOCK: "Write a time of the wall in quotes, with two digits each, as `08:00`.",
    FOLDER: "Write it from the root of the repository with slashes, as `docs/deployments`; no part begins with a dot.",
    r"^[A-Z]{2}$": "Write the country's code of two letters as in ISO 3166, as `DE`.",
    SIGNER: "Write a name, the kind of key and the key, as `ada ssh-ed25519 AAAA…`.",
    r"^forge/[a-z0-9-]+$": "Write a forge block, as `forge/shop`.",
    r"^[A-Za-z0-9]([A-Za-z0-9_./-]*[A-Za-z0-9_.-])?$": "Write letters, digits and . _ / -, no slash at an end, as `shop/production`.",
    # Those of `blocks/gitops/gitops.py`, which rules do not import; a test compares them.
    r"^git/[a-z0-9-]+$": "Write a block of Git, as `git/shop`.",
    r"^kubernetes/[a-z0-9-]+$": "Write a block of Kubernetes, as `kubernetes/shop-production`.",
    r"^[^/\\:\x00-\x1f][^\\:\x00-\x1f]*$": "Write it from the root of the repository with slashes, as `apps/shop/values.yaml`.",
    r"^[ -~]*\{version\}[ -~]*$": "Write a text with `{version}` in it, as `v{version}`.",
    r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)?$": "Write the object's name in the cluster, as `shop-canary`.",
    # Those of `blocks/credential.py`.
    HOST: "Write a host as `accounts.example.org`, with `:8443` for another port, `http://` before it for plain http, or `*.example.org` "
    "for one more label.",
    # That of `blocks/forge/settings.py`.
    r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_.][A-Za-z0-9._-]*)*$": "Write the repository as the forge names it, as `shop/deploy`.",
    VERSION_PATTERN: "Write letters, digits and . _ + - (first a letter or digit), as `1.4.2`.",
}


def fault(message: str, *, fix: str) -> PydanticCustomError:
    """Build an error that separates what is wrong from what to write instead.

    Args:
        message: What is wrong, in plain words.
        fix: What to write instead, as a sentence.

    Returns:
        The error, to be raised inside a validator.
    """
    return PydanticCustomError("plan_fault", "{wrong}. {fix}", {"wrong": message, "fix": fix})


def refuse_doubles(names: Sequence[str]) -> None:
    """Raise a fault that names the first text that is listed twice."""
    doubles = [name for name in names if names.count(name) > 1]
    if doubles:
        raise fault(f"`{doubles[0]}` is listed twice", fix="Keep one of them.")


def refusing(judge: Callable[[str], str | None], *, fix: str) -> AfterValidator:
    """Convert a function that returns a text's fault to a validator of a plan's field."""

    def _validate(text: str) -> str:
        wrong = judge(text)
        if wrong is not None:
            raise fault(wrong, fix=fix)
        return text

    return AfterValidator(_validate)


Name = Annotated[str, Field(pattern=NAME)]
TargetName = Annotated[str, Field(pattern=TARGET, max_length=30)]
Person = Annotated[str, Field(pattern=PERSON, description="A person's name as enrolled with `shipway approvers add`.")]
RepositoryPath = Annotated[
    str,
    Field(min_length=1, max_length=500),
    refusing(path_fault, fix="Name a file beside or below the plan, as `reports/junit.xml`."),
]
CredentialName = Annotated[str, Field(pattern=CREDENTIAL, max_length=200)]
BlockName = Annotated[str, Field(pattern=BLOCK, max_length=200)]
Specifier = Annotated[str, Field(min_length=1, max_length=200), refusing(specifier_fault, fix="Write it as `>=2.1,<3`.")]
Argument = Annotated[str, Field(max_length=4_000, description="One argument, passed unchanged.")]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Ratio = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """Base of a plan's sections: unknown fields are errors, values are frozen."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False, serialize_by_alias=True, validate_default=True
    )
