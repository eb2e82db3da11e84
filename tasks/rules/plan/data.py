"""Sections of the plan that say which tables great-expectations judges: the service's own data, and the samples of the steps."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from tasks.rules.plan.types import SECRET, TABLE, Name, Ratio, RepositoryPath, Seconds, Section, fault, refuse_doubles

Moment = Literal["staging", "production", "post_deploy"]
SecretName = Annotated[str, Field(pattern=SECRET, max_length=200)]
MOMENTS: tuple[Moment, ...] = ("staging", "production", "post_deploy")
SOURCES = ("table", "query", "csv", "parquet")


class Connection(Section):
    """Where the database is, by environment: secret blocks of Prefect's that hold a SQLAlchemy address."""

    staging: SecretName | None = None
    """The secret for staging's database: `secret/guestbook-staging-database`."""
    production: SecretName | None = None
    """The secret for production's database."""


class DataSuite(Section):
    """A great-expectations suite over data of the service itself."""

    name: Name
    """Its name in tables and records."""
    suite: RepositoryPath
    """The suite, YAML or JSON, inside the plan's folder: `expectations`, each with `type` and `kwargs`. docs/data.md has one."""
    table: Annotated[str, Field(pattern=TABLE, max_length=200)] | None = None
    """A table of the database, as `entries` or `public.entries`."""
    query: Annotated[str, Field(min_length=1, max_length=10_000)] | None = None
    """Or one SELECT, whose rows are judged as a table."""
    connection: Connection | None = None
    """Where table or query are."""
    csv: RepositoryPath | None = None
    """Or CSV files with a header line inside the plan's folder; `*` stands for any part of a name, and all files count as one table."""
    parquet: RepositoryPath | None = None
    """Or Parquet files, named in the same way."""
    when: Annotated[list[Moment], Field(min_length=1, max_length=3)] = Field(default_factory=lambda: list(MOMENTS))
    """`staging`, `production`: in their verification; `post_deploy`: in production once the former version is retired. Default: all."""
    max_rows: Annotated[int, Field(ge=1, le=100_000_000)] = 1_000_000
    """Files only, which are read whole: with more rows than this nothing is judged, which is an error."""
    show_values: bool = False
    """True keeps up to 20 of the offending values in the record and its pages; they may be your customers' data."""
    timeout_seconds: Seconds = 120
    """A suite that is not judged by then is an error; all suites of one moment share the longest of their times."""

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        named = [source for source in SOURCES if getattr(self, source) is not None]
        if len(named) != 1:
            wrong = f"{' and '.join(named)} are both there" if named else "nothing says which data are judged"
            raise fault(wrong, fix="Write exactly one of `table`, `query` (each with `connection`), `csv`, `parquet`.")
        refuse_doubles(list(self.when))
        if named[0] in {"csv", "parquet"}:
            if self.connection is not None:
                raise fault("files need no connection", fix="Leave `connection` out.")
            return self
        return self._has_connections()

    def _has_connections(self) -> Self:
        needed = sorted({environment_at(moment) for moment in self.when}, reverse=True)
        missing = [one for one in needed if getattr(self.connection, one, None) is None]
        if missing:
            wrong = f"`connection` names no database for {' and '.join(missing)}, and `when` asks for it"
            raise fault(wrong, fix=f"Write `connection: {{{missing[0]}: secret/NAME}}`, a secret block of Prefect's, or shorten `when`.")
        return self

    def secret_at(self, moment: Moment) -> str:
        """Name the secret block of the database that is judged at a moment; "" for files."""
        return str(getattr(self.connection, environment_at(moment)) or "") if self.connection else ""


def _each_once(suites: list[DataSuite]) -> list[DataSuite]:
    refuse_doubles([suite.name for suite in suites])
    return suites


DataSuites = Annotated[list[DataSuite], Field(max_length=50), AfterValidator(_each_once)]


class Samples(Section):
    """How the readings of the watched steps are judged as a table, after the deployment."""

    judged: bool = True
    """False leaves it out: nobody then notices holes or impossible readings in what the verdicts rest on."""
    largest_gap_intervals: Annotated[float, Field(ge=1, le=1_000)] = 10
    """A longer time between two readings is a hole, in `judgement.interval_seconds`. 15 seconds never are one: a busy machine."""
    worse_by: Ratio = 0.25
    """The canary's median and upper quartile, over the readings, of the share of bad requests may be above the baseline's by this much."""


def environment_at(moment: Moment) -> Literal["staging", "production"]:
    """Name the environment whose data are judged at a moment."""
    return "staging" if moment == "staging" else "production"
