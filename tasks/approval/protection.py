"""Environment protection: read the policies beside the key; one that cannot be read refuses everything that it could protect."""

from __future__ import annotations

from blocks.approvers.policy_files import policy_folder, read_policy_files
from blocks.errors import Refused
from tasks.rules.plan.plan import Plan
from tasks.rules.policy.policy import Policy, read_policy
from tasks.rules.policy.rules import conflicts, effective_rules, policies_of, requester_conflicts


def keep_policies(plan: Plan, *, requester: str | None = None) -> tuple[Policy, ...]:
    """Give the policies that protect a plan's platform blocks, as they are now; whatever goes forward keeps them.

    Args:
        plan: The plan.
        requester: Who requested the release, "" for no one; None leaves it unchecked.

    Raises:
        Refused: The plan is weaker than one of them, the requester may not, or a policy cannot be read.
    """
    policies = policies_of(plan, load_policies())
    problems = conflicts(plan, policies)
    if requester is not None:
        problems += requester_conflicts(requester, effective_rules(plan, policies))
    if problems:
        raise Refused(f"the release does not keep a policy. {' '.join(problems)}")
    return policies


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
