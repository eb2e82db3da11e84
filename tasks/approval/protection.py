"""Environment protection: read the policies beside the key; one that cannot be read refuses everything that it could protect."""

from __future__ import annotations

from blocks.approvers.policy_files import policy_folder, read_policy_files
from blocks.errors import Refused
from tasks.rules.policy.policy import Policy, read_policy


def load_policies() -> tuple[Policy, ...]:
    """Read the policies, in the order of their names.

    Raises:
        Refused: A file is unsafe, unreadable, wrong, or misnamed. It could protect any block, so nothing is deployed.
    """
    found: list[Policy] = []
    for name, content in read_policy_files().items():
        policy, problems = read_policy(content, name=str(policy_folder() / f"{name}.yaml"))
        if policy is None:
            raise Refused(f"a policy is wrong, so nothing is deployed: {'; '.join(map(str, problems))}")
        if policy.name != name:
            raise Refused(f"the policy in {policy_folder() / name}.yaml is called {policy.name}; put it there with `shipway policy apply`")
        found.append(policy)
    return tuple(found)
