"""The change of a release that the tests of commits and of pull requests make, and the subjects of its commits."""

from __future__ import annotations

from tasks.rules.gitops.edit import Edit
from tasks.rules.gitops.message import Change
from tasks.rules.gitops.targets import YamlPath

CHANGE = Change(
    key="r1/production/promote",
    edits=(Edit("values.yaml", YamlPath("image.tag"), "1.1.0", "1.0.0"),),
    service="shop",
    version="1.1.0",
    release="r1",
    digest="d1",
    approvers=("ann",),
    reason="the basket",
    token=7,
)
OURS = "Deploy shop 1.1.0"
BACK = "Revert shop 1.1.0"
