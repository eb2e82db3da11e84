"""The files that `shipway init` writes: a plan and its platform blocks, as people read and change them."""

from __future__ import annotations

import json
import re

from tasks.rules.plan.starter import TEMPLATES, Answers

SCHEMA_FILE = "shipway.schema.json"
PLAIN = re.compile(r"[A-Za-z/.][A-Za-z0-9/._+-]*")
WORDS_OF_YAML = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}  # text only in quotes
ENVIRONMENTS = ("staging", "production")
PLAN = """\
# yaml-language-server: $schema={schema}
# What a release of {service} may do. `shipway check` lists every problem of it, or what a release would do.
shipway: 1
service: {name}
{change_log}
verification:
  health:
    - path: {health}
    # - path: /version              # if the service tells its version: the one under release must answer, and no other
    #   expect: {{json: {{/version: "{{version}}"}}}}

{judgement}
staging:
  platform: {staging}

production:
  platform: {production}
{steps}
{approval}
rollback:
  to: previous
  watch_seconds: 30

checklist:
  tests_passed: false               # name your own evidence in `tests`, as `- junit: reports/junit.xml`, then remove this line
"""
JUDGEMENT = """\
judgement:
  slis:
    - name: health                  # Shipway's own requests, which need no traffic
      source: probe
      indicator: errors
      path: {health}
      tolerance: 0.05
      limit: 0.1
"""
JUDGEMENT_BY_USERS = """\
    - name: errors                  # the requests of your users, as the router counts them
      indicator: errors
      tolerance: 0.05
      limit: 0.1
      deciding: false               # only shown. Remove this line once there are users: then a step without enough requests asks people
  min_requests: 30
  interval_seconds: 0.5
"""
STEPS = """\
  steps:                            # a verdict ends a watch earlier
    - {percent: 25, watch_seconds: 120}
    - {percent: 50, watch_seconds: 120}
    - {percent: 100, watch_seconds: 120}
"""
ONE_STEP = """\
  {strategy}steps:
    - percent: 100                  # {why}
      watch_seconds: 0
"""
WHY_ONE_STEP = {
    "kubernetes": "the workload's own rollout; docs/kubernetes.md describes a canary",
    "gitops": "the workload's own rollout; docs/gitops.md describes a canary",
    "script": "the script replaces what runs; docs/scripts.md describes shares",
    "script-hosts": "all hosts, `at_once` at a time; docs/scripts.md describes shares, as 25 of four hosts",
}
APPROVAL = """\
approval:                           # who asks for a release cannot approve it. To enrol a person: shipway approvers add NAME
  approvers: [{names}]
"""
NO_APPROVAL = """\
approval:
  quorum: 0                         # no approval is needed
"""
HEAD = "# `shipway blocks apply {file}` saves these; docs/{page}.md describes each field.\n"
LOCAL = """\
local/{service}-{environment}:
  service: {name}
  command: [{command}]
  working_directory: .              # where this file lies
  ready_path: {health}
  # port: 8080                      # where users reach it; left out, the system chooses once
"""
KUBERNETES = """\
kubernetes/{service}-{environment}:
  # context: production             # of the kubeconfig; left out, its current one
  namespace: {namespace}
  workload: {workload}
"""
SCRIPT = """\
script/{service}-{environment}:
  service: {name}
  address: {address}
  scripts:                          # programs with their arguments, as you have them; no shell reads them
    deploy: [{words}, deploy, "{{version}}"]
    status: [{words}, status]       # prints the version that runs, or nothing
    verify: [{words}, verify, "{{version}}"]
    rollback: [{words}, deploy, "{{previous}}"]
  working_directory: .              # where this file lies
"""
HOSTS = """\
script-hosts/{service}-{environment}:
  service: {name}
  address: {address}
  # host_address: http://{{host}}:8080  # where one host is reached; steps of some hosts are judged there
  hosts: [{hosts}]
  at_once: 1                        # on how many hosts at the same time; it stops after those if one fails
  user: deploy                      # where a host names no one, as ada@web-1 does
  key: {{env: DEPLOY_KEY}}            # from the environment of whoever applies this file
  known_hosts:                      # the hosts' public keys, as ssh-keyscan prints them, once you compared them
    - {{env: DEPLOY_KNOWN_HOSTS}}
  scripts:                          # programs with their arguments, as they lie on the hosts; no shell reads them
    deploy: [{words}, deploy, "{{version}}"]
    status: [{words}, status]       # prints the version that runs, or nothing
    verify: [{words}, verify, "{{version}}"]
    rollback: [{words}, deploy, "{{previous}}"]
  working_directory: .              # the account's home on the host
"""
GITOPS = """\
git/{service}:
  remote: {repository}
  branch: main
{access}argocd-application/{service}-production:
  application: {name}               # the Application as Argo CD names it
  namespace: argocd
{workloads}gitops/{service}-production:
  git: git/{service}
  engine: argocd-application/{service}-production
  platform: kubernetes/{service}-production
  edits:
    - file: {file}
      {place}
      # value: "v{{version}}"       # if it is more than the version
"""
TOKEN = "  token: {env: DEPLOY_TOKEN}        # from the environment of whoever applies this file\n"  # noqa: S105 - a name
SSH = """\
  ssh_key: {env: DEPLOY_KEY}        # from the environment of whoever applies this file
  known_hosts: {env: DEPLOY_KNOWN_HOSTS}
"""


def plan_text(answers: Answers) -> str:
    """Write the plan.

    Args:
        answers: Checked.
    """
    names = ", ".join(map(_scalar, answers.approvers))
    by_users = JUDGEMENT_BY_USERS if answers.method == "local" else ""
    staging = "kubernetes" if answers.method == "gitops" else answers.method
    return PLAN.format(
        schema=SCHEMA_FILE,
        service=answers.service,
        name=_scalar(answers.service),
        change_log="" if answers.tag == TEMPLATES[0] else f"\nchange_log:\n  tag: {_scalar(answers.tag)}\n",
        health=_scalar(answers.health),
        judgement=JUDGEMENT.format(health=_scalar(answers.health)) + by_users,
        staging=f"{staging}/{answers.service}-staging",
        production=f"{answers.method}/{answers.service}-production",
        steps=STEPS if answers.method == "local" else _one_step(answers.method),
        approval=APPROVAL.format(names=names) if names else NO_APPROVAL,
    )


def blocks_text(answers: Answers, *, file: str) -> str:
    """Write the platform blocks of both environments.

    Args:
        answers: Checked.
        file: How the file will be called.
    """
    writer = {"local": _local, "kubernetes": _kubernetes, "gitops": _gitops, "script": _script, "script-hosts": _hosts}[answers.method]
    page = {"local": "platforms", "script": "scripts", "script-hosts": "scripts"}.get(answers.method, answers.method)
    return HEAD.format(file=file, page=page) + writer(answers)


def secrets_of(answers: Answers) -> tuple[str, ...]:
    """Name the environment variables that the blocks take their secrets from."""
    text = HOSTS if answers.method == "script-hosts" else _access(answers.repository) if answers.repository else ""
    return tuple(re.findall(r"\{env: (\w+)\}", text))


def _one_step(method: str) -> str:
    strategy = "strategy: rolling                 # nothing of a version runs before its step\n  " if method.startswith("script") else ""
    return ONE_STEP.format(strategy=strategy, why=WHY_ONE_STEP[method])


def _local(answers: Answers) -> str:
    command = ", ".join(map(_scalar, answers.command))
    values = {"service": answers.service, "name": _scalar(answers.service), "command": command, "health": _scalar(answers.health)}
    return "".join(LOCAL.format(environment=environment, **values) for environment in ENVIRONMENTS)


def _kubernetes(answers: Answers) -> str:
    return "".join(
        KUBERNETES.format(service=answers.service, environment=environment, namespace=_scalar(namespace), workload=_scalar(workload))
        for environment, (namespace, _, workload) in zip(ENVIRONMENTS, (one.partition("/") for one in answers.workloads), strict=True)
    )


def _script(answers: Answers) -> str:
    return "".join(
        SCRIPT.format(
            service=answers.service,
            environment=environment,
            name=_scalar(answers.service),
            address=json.dumps(address),
            words=_words(answers, environment),
        )
        for environment, address in zip(ENVIRONMENTS, answers.addresses, strict=True)
    )


def _hosts(answers: Answers) -> str:
    return "".join(
        HOSTS.format(
            service=answers.service,
            environment=environment,
            name=_scalar(answers.service),
            address=json.dumps(address),
            hosts=", ".join(map(_scalar, hosts)),
            words=_words(answers, environment),
        )
        for environment, address, hosts in zip(ENVIRONMENTS, answers.addresses, answers.hosts, strict=True)
    )


def _words(answers: Answers, environment: str) -> str:
    return ", ".join(_scalar(word.replace("{environment}", environment)) for word in answers.command)


def _gitops(answers: Answers) -> str:
    edit = answers.edit
    return GITOPS.format(
        service=answers.service,
        name=_scalar(answers.service),
        repository=json.dumps(answers.repository),
        access=_access(answers.repository),
        workloads=_kubernetes(answers),
        file=_scalar(edit.file),
        place=f"image: {_scalar(edit.image)}" if edit.image else f"path: {_scalar(edit.path)}",
    )


def _access(repository: str) -> str:
    if repository.startswith("file:"):
        return ""
    return TOKEN if repository.startswith(("http:", "https:")) else SSH


def _scalar(text: str) -> str:
    """Write a text so that YAML reads it as that text, without quotes if it needs none."""
    return text if PLAIN.fullmatch(text) and text.lower() not in WORDS_OF_YAML else json.dumps(text, ensure_ascii=False)
