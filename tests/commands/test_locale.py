"""The command line in a locale that does not know our letters."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
SHIPWAY = str(Path(sys.executable).with_name("shipway"))


def test_a_message_with_other_letters_is_printed_in_an_ascii_terminal() -> None:
    """An escape stands for what the terminal cannot show; the command ends as it would elsewhere."""
    done = subprocess.run([SHIPWAY, "up", "--home", "/proc/Änderung"], check=False, capture_output=True, env={**os.environ, **ASCII})
    assert done.returncode == 4
    assert rb"/proc/\xc4nderung cannot be used as a home directory" in done.stderr
    assert b"Traceback" not in done.stderr


def test_other_programs_that_a_command_starts_see_the_users_own_setting() -> None:
    """What is set for our terminal alone is not handed down."""
    words = "from flows.commands._encoding import use_utf8; import os; use_utf8(); print(os.environ.get('PYTHONIOENCODING'), '\\u2026')"
    done = subprocess.run([sys.executable, "-c", words], check=True, capture_output=True, env={**os.environ, **ASCII})
    assert done.stdout == b"None ?\n"
