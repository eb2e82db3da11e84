"""Locales other than UTF-8: our texts and paths are UTF-8, so the process restarts itself in Python's UTF-8 mode (PEP 540)."""

from __future__ import annotations

import codecs
import locale
import os
import sys

RESTARTED = "SHIPWAY_UTF8"


def use_utf8() -> None:
    """Restart this process in UTF-8 mode if its locale is another one; what the terminal cannot show becomes a question mark."""
    if os.environ.pop(RESTARTED, None):
        os.environ.pop("PYTHONIOENCODING", None)  # it was for this process's terminal alone
        return
    if sys.flags.utf8_mode or codecs.lookup(locale.getencoding()).name == "utf-8":
        return
    streams = f"{sys.stdout.encoding or 'ascii'}:replace"
    added = {RESTARTED: "1", "PYTHONUTF8": "1", "PYTHONIOENCODING": streams}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **added})  # noqa: S606 - the same program again
