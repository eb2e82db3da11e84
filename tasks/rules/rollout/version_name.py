"""The names of a version: plain, or with the hash of the configuration that its pods were started with, as `2.0+config.0f3a9c21b7`.

Where a configuration is released, too, a plain name means the present one. So the same pods are `2.0` when they are released, and
`2.0+config.HASH` once a ConfigMap or Secret changed. Names of two moments, of two places, or of a person are compared here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

CONFIGURATION = "+config."  # as in `blocks.platform`


class VersionName(NamedTuple):
    """A version's name.

    Fields:
        source: What is built from the source.
        config: The hash of its configuration; "" in a plain name.
    """

    source: str
    config: str = ""

    @classmethod
    def of(cls, text: str, *, present: str = "") -> VersionName:
        """Read a name.

        Args:
            text: The name.
            present: What a plain name means where it was given, as far as that is known.
        """
        source, _, config = text.partition(CONFIGURATION)
        return cls(source, config or present)

    def may_be(self, other: VersionName) -> bool:
        """Say whether two names can mean the same pods: one of them is plain, or both have one hash."""
        return self.source == other.source and (not self.config or not other.config or self.config == other.config)


def may_be(one: str | None, other: str | None) -> bool:
    """Say whether two names can mean the same pods."""
    return one is not None and other is not None and VersionName.of(one).may_be(VersionName.of(other))


def is_same(one: str | None, other: str | None, *, present: str = "") -> bool:
    """Say whether two names mean the same pods where plain ones mean this configuration; "" if it is not known."""
    return one is not None and other is not None and VersionName.of(one, present=present) == VersionName.of(other, present=present)


def is_known_as(name: str | None, version: str, *, present: str = "") -> bool:
    """Say whether what is named there now was called like this before: its name may have been plain still, or be so again."""
    return name is not None and (version in names_of(name) or is_same(name, version, present=present))


def is_alike(name: str | None, version: str, *, besides: str = "") -> bool:
    """Say whether a name is that of a version, whatever its configuration is by now; but by its whole name if another one is alike."""
    if name is None or name == version:
        return name is not None
    source = VersionName.of(version).source
    return VersionName.of(name).source == source != VersionName.of(besides).source


def named_there(version: str, names: Iterable[str | None], *, others: Collection[str] = (), present: str = "") -> str:
    """Give the name by which an environment knows a version that was named elsewhere or earlier.

    Args:
        version: The name that was given.
        names: What the environment runs, what counts first in front.
        others: What runs or ran there under the same plain name and is not meant: what a release of the configuration alone replaced.
        present: What a plain name means there.

    Returns:
        The name there; the given one if it is not there.
    """
    there, wanted = [name for name in names if name is not None], VersionName.of(version)
    if version in there:
        return version
    if wanted.config:
        return next((name for name in there if VersionName.of(name, present=present).may_be(wanted)), version)
    return next((name for name in there if VersionName.of(name).source == wanted.source and name not in others), version)


def names_of(version: str, *, besides: str = "") -> list[str]:
    """Give the names by which a version is asked for: with the hash of its configuration, and without.

    Args:
        version: The version.
        besides: Another one, which is asked for without that hash if it differs in its configuration alone.
    """
    plain = VersionName.of(version).source
    return [version] if plain == VersionName.of(besides).source else list(dict.fromkeys([version, plain]))


def with_configuration(version: str, present: str) -> str:
    """Name a version with the hash of its configuration, if that is known."""
    source, config = VersionName.of(version, present=present)
    return f"{source}{CONFIGURATION}{config}" if config else source


def version_before(known: Mapping[str, str], version: str, *, present: str = "") -> str | None:
    """Find what a version replaced, past the names that may be its own.

    Args:
        known: What each version replaced, the one promoted last at the end.
        version: The version.
        present: What a plain name means there; "" if it is not known.
    """
    wanted, found = VersionName.of(version, present=present), version
    for _ in known:
        name = with_configuration(found, present) if found == version else found
        latest = list(known)[::-1]
        names = [one for one in latest if one == name] or [one for one in latest if may_be(one, name)]
        if not names:
            return None
        found = known[names[0]]
        if not VersionName.of(found).may_be(wanted):
            return found
    return None
