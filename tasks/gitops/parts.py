"""The parts that a GitOps platform is made of: its settings, Git, the engine, and the workload that is followed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial

from blocks.errors import WorldMoved
from blocks.forge.forge import PullRequest
from blocks.git.git import Git
from blocks.gitops.engine import Engine
from blocks.gitops.gitops import GitOps
from blocks.kubernetes.followed import Followed, FollowedCanary
from blocks.kubernetes.objects.annotations import State
from blocks.kubernetes.objects.selectors import renamed
from blocks.kubernetes.platform import KubernetesPlatform
from blocks.platform import About, Lease
from tasks.gitops.follow import follow
from tasks.gitops.ways_in import Way
from tasks.record.journal import inform
from tasks.rules.gitops.note import Note, read_note, write_note

ALL = 100


@dataclass(frozen=True)
class Parts:
    """The blocks of a GitOps platform.

    Fields:
        settings: The block that names them.
        git: The branch.
        engine: What deploys from it.
        kubernetes: The workload's platform, as its block is.
        about: What the release is about, if that is known.
        is_rollback: Whether what is deployed is rolled back to: then the cluster is changed even if Git cannot be reached.
    """

    settings: GitOps
    git: Git
    engine: Engine
    kubernetes: KubernetesPlatform
    about: About | None = None
    is_rollback: bool = False

    @cached_property
    def workload(self) -> KubernetesPlatform:
        """The workload by its own rollout, whose configuration and owners are Git's affair."""
        return self.kubernetes.model_copy(update={"strategy": "rolling", "config_by_hash": False, "force_conflicts": True})

    @cached_property
    def followed(self) -> Followed:
        """The workload as it is followed."""
        return Followed(self.workload)

    @cached_property
    def beside(self) -> KubernetesPlatform:
        """The workload with the canary that is in Git beside it, for what is read of both."""
        workload = self.settings.canary_workload or renamed(self.kubernetes.workload)
        kubernetes = self.kubernetes.model_copy(update={"config_by_hash": False, "force_conflicts": True})
        return kubernetes.with_canary(workload, self.settings.canary_service or workload)

    @cached_property
    def canary(self) -> FollowedCanary:
        """The canary that is in Git beside the workload, as it is followed."""
        return FollowedCanary(self.beside)

    @property
    def title(self) -> str:
        """Name the environment."""
        return f"{self.kubernetes.namespace}/{self.kubernetes.workload}"

    async def seen(self) -> Seen:
        """Read the workload once."""
        state, text, runs = await self.followed.state()
        return Seen(state, None if text is None else read_note(text), runs)

    def way(self, note: Note, lease: Lease) -> Way:
        """Return the way of a change into Git, which the note and the workload's events tell of if it is a pull request."""
        return Way(self.git, partial(self.followed.expect_owner, lease), partial(self._told, note, lease, set()))

    async def _told(self, note: Note, lease: Lease, known: set[tuple[str, str]], request: PullRequest) -> None:
        """Keep where a pull request is, and say how it stands if that is new."""
        if (now := (request.name, request.state)) not in known and request.state == "open":
            await self.followed.keep_note(lease, write_note(replace(note, via=request.name)))
            await self.followed.record("ShipwayPullRequest", f"{note.change.version} goes through {request.name}")
        known.add(now)
        inform(f"{self.title}: {request.name} is {request.state}{f': {request.why}' if request.why and request.state == 'open' else ''}")

    async def deployed(self, commit: str, *, note: str, timeout_seconds: float) -> None:
        """Wait until the engine has deployed a commit, see `follow`."""
        await follow(self.engine, self.git, commit=commit, note=note, timeout_seconds=timeout_seconds, say=_tell)


@dataclass(frozen=True)
class Seen:
    """A workload at one moment.

    Fields:
        state: What a release noted on it.
        note: The change that is under way, or None.
        runs: The version that it is set to.
    """

    state: State
    note: Note | None
    runs: str

    def expect_note(self, title: str) -> Note:
        """Give the note.

        Raises:
            WorldMoved: There is none, or it is of another version.
        """
        if self.note is None or self.note.change.version != self.state.canary:
            raise WorldMoved(f"the note of the change under way in {title} is gone; something else changed the workload. Release again")
        return self.note

    def overridden(self, title: str) -> str:
        """Say that others set another version than the one that is rolled out; "" if they did not."""
        note, canary = self.note, self.state.canary
        if note is None or note.due or not self.state.owner or self.runs == canary:
            return ""
        if not note.by_weights and (self.state.percent != ALL or (self.runs == note.baseline and not note.deployed)):
            return ""  # it is not in sync yet
        if note.by_weights and self.runs == note.baseline:
            return ""
        wanted = note.baseline if note.by_weights else canary
        return f"{title} is set to {self.runs}, not to {wanted}: another commit or person changed it. Look at it, then release again"


async def _tell(lines: tuple[str, ...]) -> None:
    inform("; ".join(lines))
