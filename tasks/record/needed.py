"""What retention must not touch: open runs, and those whose records a rollback may need, by what is kept beside the key.

It is listed strictly: a folder that cannot be listed is not an empty one, and nothing is removed then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

from blocks.key_folder.kept_files import listed_names, read_all_kept
from tasks.lifecycle.kept_runs import OPEN
from tasks.record.kept_index import WHAT, name_of, run_of, version_of
from tasks.record.left import FOLDER as LEFT
from tasks.rules.lifecycle.retention import Deployed, needed_records
from tasks.rules.rollout.version_name import may_be


class Needed(NamedTuple):
    """What stays whatever its age.

    Fields:
        open: The runs that have not come to their end.
        records: The runs whose records a rollback may need, each with why.
    """

    open: frozenset[str]
    records: Mapping[str, str]


def read_needed(*, versions: int) -> Needed:
    """Read it; a deployment that cannot be read counts as needed.

    Args:
        versions: Of how many versions of a service in each place the records stay.

    Raises:
        Refused: A folder cannot be listed.
    """
    listed_names("heads", suffix=".json")  # by them it is known which records are open
    names = listed_names("deployed")
    known = dict(_deployed(names))
    unread = {run_of(name): "what it deployed cannot be read" for name in names if name not in known}
    contracts = [run_of(name) for name in listed_names("contracts")]
    return Needed(frozenset(listed_names(OPEN)), unread | needed_records(known.values(), contracts, versions=versions))


def _deployed(names: list[str]) -> Iterator[tuple[str, Deployed]]:
    """Read the deployments, each with whether a rollback left its version there since, and whether the last one brought it back."""
    left, found = {*listed_names(LEFT)}, dict[str, Deployed]()
    for name, kept in read_all_kept("deployed", names, what=WHAT):
        with suppress(KeyError):
            found[name] = Deployed(kept["service"], kept["version"], kept["place"], kept["run"], str(kept.get("at", "")))
    last = {name: name_of(one.service, "", one.place) for name, one in found.items()}
    brought = {name: str(kept.get("serves", "")) for name, kept in read_all_kept(LEFT, left & {*last.values()}, what=WHAT)}
    for name, one in found.items():
        serves = brought.get(last[name])  # one that cannot be read may be any
        is_back = last[name] in left and (not serves or may_be(serves, one.version))
        yield name, one._replace(is_left=version_of(name) in left, is_back=is_back)
