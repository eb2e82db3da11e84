"""Plan sections for data: the tables that great-expectations validates, and the samples of the steps."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from tasks.rules.plan.types import TABLE, CredentialName, Name, Ratio, RepositoryPath, Seconds, Section, fault, refuse_doubles

Moment = Literal["staging", "production", "post_deploy"]
MOMENTS: tuple[Moment, ...] = ("staging", "production", "post_deploy")
SOURCES = ("table", "query", "csv", "parquet")


class Connection(Section):
    """Database connection by environment: credential blocks that hold a SQLAlchemy address."""

    staging: CredentialName | None = None
    """The credential for staging's database: `credential/guestbook-staging-database`."""
    production: CredentialName | None = None
    """The credential for production's database."""


class DataSuite(Section):
    """A great-expectations suite over the service's own data."""

    name: Name
    """Its name in tables and records."""
    suite: RepositoryPath
    """The suite, YAML or JSON, inside the plan's folder: `expectations`, each with `type` and `kwargs`. docs/data.md has one."""
    table: Annotated[str, Field(pattern=TABLE, max_length=200)] | None = None
    """A table of the database, as `entries` or `public.entries`."""
    query: Annotated[str, Field(min_length=1, max_length=10_000)] | None = None
    """Or one SELECT, whose rows are validated as a table."""
    connection: Connection | None = None
    """The database of `table` or `query`."""
    csv: RepositoryPath | None = None
    """Or CSV files with a header line inside the plan's folder; `*` stands for any part of a name, and all files count as one table."""
    parquet: RepositoryPath | None = None
    """Or Parquet files, named in the same way."""
    when: Annotated[list[Moment], Field(min_length=1, max_length=3)] = Field(default_factory=lambda: list(MOMENTS))
    """`staging`, `production`: in their verification; `post_deploy`: in production once the previous baseline is removed. Default: all."""
    max_rows: Annotated[int, Field(ge=1, le=100_000_000)] = 1_000_000
    """Files only, which are read whole: a file with more rows than this is an error."""
    show_values: bool = False
    """True keeps up to 20 of the offending values in the record and its pages; they may be your customers' data."""
    timeout_seconds: Seconds = 120
    """A suite that takes longer is an error; all suites of one moment share the longest of their times."""

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        named = [source for source in SOURCES if getattr(self, source) is not None]
        if len(named) != 1:
            wrong = f"{' and '.join(named)} are both given" if named else "the data to validate are not named"
            raise fault(wrong, fix="Write exactly one of `table`, `query` (each with `connection`), `csv`, `parquet`.")
        refuse_doubles(list(self.when))
        if named[0] in {"csv", "parquet"}:
            if self.connection is not None:
                raise fault("files do not need a connection", fix="Leave `connection` out.")
            return self
        return self._has_connections()

    def _has_connections(self) -> Self:
        needed = sorted({environment_at(moment) for moment in self.when}, reverse=True)
        missing = [one for one in needed if getattr(self.connection, one, None) is None]
        if missing:
            wrong = f"`connection` does not name a database for {' and '.join(missing)}, which `when` needs"
            raise fault(wrong, fix=f"Write `connection: {{{missing[0]}: credential/NAME}}`, a credential block, or shorten `when`.")
        return self

    def credential_at(self, moment: Moment) -> str:
        """Return the credential block of the database to validate at a moment; "" for files."""
        return str(getattr(self.connection, environment_at(moment)) or "") if self.connection else ""


def _each_once(suites: list[DataSuite]) -> list[DataSuite]:
    refuse_doubles([suite.name for suite in suites])
    return suites


DataSuites = Annotated[list[DataSuite], Field(max_length=50), AfterValidator(_each_once)]


class Samples(Section):
    """How the readings of the watched steps are validated as a table, after the deployment."""

    judged: bool = True
    """False skips it: gaps and impossible readings behind the verdicts are then not detected."""
    largest_gap_intervals: Annotated[float, Field(ge=1, le=1_000)] = 10
    """A longer time between two readings is a gap, in multiples of `judgement.interval_seconds`; 15 seconds or less never are."""
    worse_by: Ratio = 0.25
    """The canary's median and upper quartile, over the readings, of the share of bad requests may be above the baseline's by this much."""


def environment_at(moment: Moment) -> Literal["staging", "production"]:
    """Return the environment whose data are validated at a moment."""
    return "staging" if moment == "staging" else "production"
