"""What is missing of a log as reading it here took too long: the version logs too much, and no right or network is to blame."""

from __future__ import annotations


class Late(str):
    """Why lines of a version were not read; a check that goes by them is an error then, whatever `logs.incomplete` says."""

    __slots__ = ()
