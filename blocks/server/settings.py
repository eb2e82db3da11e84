"""The environment of every process of a server stack and its clients; to be set before prefect is imported."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from blocks import processes
from blocks.server import layout, port, postgres

PROJECT = Path(__file__).parents[2]
PACKAGED = Path(__file__).with_name("prefect.yaml")
# What a run reports is stored once a second, together: people read it that much later, and a fifth of the server's work is saved.
BATCHES = {
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
}
# Connections of the Prefect server to the database: up to 60 of PostgreSQL's 100. Prefect's own 5 and 10 answer 500 as soon as
# some dozen runs ask at once for 30 s.
DATABASE_POOL = {
    "PREFECT_SERVER_DATABASE_SQLALCHEMY_POOL_SIZE": "20",
    "PREFECT_SERVER_DATABASE_SQLALCHEMY_MAX_OVERFLOW": "40",
}
# Prefect's client retries 408, 429, 502 and 503 by itself; with these it retries whatever a server answers that is overloaded or restarts:
# five times, with exponential backoff, for about a minute.
RETRIED = {"PREFECT_CLIENT_RETRY_EXTRA_CODES": "500,504"}

# What a server stack, its workers and their runs take from the shell of `shipway up`, beside PATH, HOME, locale and time zone.
PASSED_ON = (
    "XDG_RUNTIME_DIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "VIRTUAL_ENV",
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
    "KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "SHIPWAY_HOME", "SHIPWAY_PASS",
)  # fmt: skip
MORE = "SHIPWAY_PASS"  # names further ones, with commas: what a credential plugin of a cluster needs

QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SHOW_DOC_LINKS": "false",
    "PREFECT_LOGGING_COLORS": "false",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
}


def prefect_file() -> Path:
    """Give the file of the deployments: the checkout's, or the copy in an installed wheel."""
    own = PROJECT / "prefect.yaml"
    return own if own.exists() else PACKAGED


def environment(home: Path) -> dict[str, str]:
    """Give what a client, a worker or a flow of this home directory needs beside its own environment.

    Args:
        home: The home directory.

    Returns:
        Variables to add. A heartbeat of 30 s is the shortest that Prefect takes.
    """
    auth = layout.auth_string(home)
    return {
        **QUIET,
        **RETRIED,
        "SHIPWAY_HOME": str(home),
        "SHIPWAY_KEY_FILE": str(layout.key_file(home)),
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_API_URL": layout.api_url(home),
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(home / "storage"),
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        **({"PREFECT_API_AUTH_STRING": auth} if auth else {}),
    }


def enter(home: Path) -> None:
    """Make this process a client of the home directory's server; a server that PREFECT_API_URL names already is kept.

    Call it before prefect is imported.

    Raises:
        Refused: SHIPWAY_KEY_FILE names another key than the home directory's, or the port of its server is another user's, so the
            password must not be sent there.
    """
    layout.expect_same_key(home)
    foreign = bool(os.environ.get("PREFECT_API_URL"))
    if not foreign:
        port.hold(home)
    for name, value in environment(home).items():
        if not (foreign and name in {"PREFECT_API_URL", "PREFECT_API_AUTH_STRING"}):
            os.environ[name] = value


def inherited() -> dict[str, str]:
    """Give what a server stack's processes may have of this process's environment: an allow-list, for a shell holds secrets of its own.

    A Prefect setting is not among it: a server stack's settings are its home directory's alone. They read and write UTF-8 whatever the
    locale of the shell is.
    """
    named = [name.strip() for name in os.environ.get(MORE, "").split(",")]
    kept = processes.passed_on(*PASSED_ON, *(name for name in named if not name.startswith("PREFECT_")))
    return {**kept, "PYTHONUTF8": "1", "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])}


def server_environment(home: Path) -> dict[str, str]:
    """Give the Prefect server's whole environment."""
    facts = layout.read_facts(home)
    auth = layout.auth_string(home)
    return {
        **inherited(),
        **QUIET,
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(facts["port"]),
        "PREFECT_SERVER_UI_API_URL": layout.api_url(home),
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ",".join(f"http://{host}:{facts['port']}" for host in ("127.0.0.1", "localhost")),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": postgres.url(home),
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": "P30D",
        "PREFECT_SERVER_SERVICES_FOREMAN_LOOP_SECONDS": "5",
        "PREFECT_SERVER_SERVICES_SCHEDULER_MIN_SCHEDULED_TIME": "PT3M",  # ten runs of the keeper ahead, not a hundred
        "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",  # which imports every collection; the worker does it when nothing waits
        "PREFECT_SERVER_MEMOIZE_BLOCK_AUTO_REGISTRATION": "false",  # or they are imported all the same, to see if they changed
        **BATCHES,
        **DATABASE_POOL,
        "PREFECT__SERVER_FINAL": "1",
        **({"PREFECT_SERVER_API_AUTH_STRING": auth} if auth else {}),
    }


def worker_environment(home: Path) -> dict[str, str]:
    """Give the worker's whole environment, which its flow runs inherit."""
    return {
        **inherited(),
        **environment(home),
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_WORKER_PREFETCH_SECONDS": "1",
        "PREFECT_WORKER_HEARTBEAT_SECONDS": "5",
        "PREFECT_LOGGING_LOGGERS_PREFECT_TASK_RUNS_LEVEL": "WARNING",  # the run's log is for what happened, not for each task that ended
    }
