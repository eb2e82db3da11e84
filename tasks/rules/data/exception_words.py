"""What may be said of an exception whose text may quote the data: pandas and databases name the value that they cannot convert."""

from __future__ import annotations

import builtins
import re

_RAISED = re.compile(r"^([A-Za-z_][A-Za-z0-9_.]*)(?::|$)", re.MULTILINE)
_STATEMENT = re.compile(r"\s*\[(?:SQL|parameters):.*", re.DOTALL)
LIBRARIES = {"great_expectations", "psycopg", "sqlalchemy", "sqlite3"}
ABOUT_NO_VALUE = frozenset(
    {
        "AdminShutdown", "AmbiguousColumn", "CannotConnectNow", "CrashShutdown", "DatatypeMismatch", "ExecutionEngineError",
        "GroupingError", "InsufficientPrivilege", "InterfaceError", "InternalError", "InvalidMetricAccessorDomainKwargsKeyError",
        "LockNotAvailable", "MetricResolutionError", "NoSuchTableError", "OperationalError", "ProgrammingError", "QueryCanceled",
        "ReadOnlySqlTransaction", "SyntaxError", "TestConnectionError", "TooManyConnections", "UndefinedColumn", "UndefinedFunction",
        "UndefinedTable",
    }
)  # fmt: skip
"""Exceptions of a database, or about names, whose texts quote no value unless another one is behind them."""


def said_without_values(message: str, trace: str) -> str:
    """Give an exception's text if no exception behind it quotes a value; else its type, that of the first cause, alone.

    Args:
        message: What it says.
        trace: Its traceback as Python writes it, with those of its causes; "" if it is not known.
    """
    raised = [name.split(".") for name in _RAISED.findall(trace) if "." in name or _is_builtin(name)]
    if raised and all(parts[0] in LIBRARIES and parts[-1] in ABOUT_NO_VALUE for parts in raised):
        line = _STATEMENT.sub("", message).strip()
        return " ".join(line.split("\nDETAIL:")[0].split())
    kind = raised[0][-1] if raised else "an exception"
    return f"{kind}, whose text may quote values (show_values: false)"


def _is_builtin(name: str) -> bool:
    found = getattr(builtins, name, None)
    return isinstance(found, type) and issubclass(found, BaseException)
