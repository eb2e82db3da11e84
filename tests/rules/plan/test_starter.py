"""What `shipway init` writes is right, whatever was answered; what cannot be right is refused with its option and a fix."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from blocks.errors import BadInput
from flows.commands.blocks import kinds
from tasks.rules.plan import starter
from tasks.rules.plan.blocks_file import read_blocks
from tasks.rules.plan.file import read_plan
from tasks.rules.plan.plan import Production
from tasks.rules.plan.starter_files import blocks_text, plan_text, secrets_of

KINDS = kinds()
names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True) | st.sampled_from(["on", "no", "null", "1", "1e3", "0x1f"])
word = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp", "Cn", "Cf"]), min_size=1, max_size=20)
paths = st.from_regex(r"/[^\s#\x00-\x20\x7f-\x9f]{0,20}", fullmatch=True).filter(lambda text: text.isprintable())
methods = {
    "local": st.builds(lambda words: {"command": (*words, "{port}")}, st.lists(word, min_size=1, max_size=4)),
    "kubernetes": st.builds(lambda one: {"workloads": (f"{one}-staging/{one}", f"{one}/{one}")}, names),
    "script": st.builds(
        lambda words: {"command": (*words, "{environment}"), "addresses": ("http://127.0.0.1:1", "https://shop.example:2")},
        st.lists(word.filter(str.strip), min_size=1, max_size=4),
    ),
    "script-hosts": st.builds(
        lambda words: {
            "command": tuple(words),
            "addresses": ("http://127.0.0.1:1", "https://shop.example:2"),
            "hosts": (("stage-1",), ("no@web-1:22", "[::1]:2222", "on")),
        },
        st.lists(word.filter(str.strip), min_size=1, max_size=4),
    ),
    "gitops": st.builds(
        lambda repository, edit: {"repository": repository, "edit": edit, "workloads": ("a/b", "c/d")},
        st.sampled_from(["https://git.example/a.git", "git@git.example:a.git", "file:///srv/a.git"]),
        st.builds(starter.check_edit, st.sampled_from(["a.yaml:image.tag", "b/c.yaml:image=no", "a.yaml:a[name=x: y].b"])),
    ),
}
tags = st.sampled_from(["v{version}", "{version}", "shop/{version}"])
people = st.lists(names, max_size=3, unique=True).map(tuple)


@st.composite
def answered(draw: st.DrawFn) -> starter.Answers:
    """Draw answers of any method."""
    method = draw(st.sampled_from(sorted(methods)))
    common = {"service": draw(names), "method": method, "health": draw(paths), "approvers": draw(people), "tag": draw(tags)}
    return starter.Answers(**common, **draw(methods[method]))


@given(answered())
def test_whatever_is_answered_plan_and_blocks_are_right_and_fit_each_other(answers: starter.Answers) -> None:
    """Names that YAML reads as something else, quotes, colons and all scripts of the world included."""
    plan, problems = read_plan(plan_text(answers), name="shipway.yaml")
    assert problems == []
    assert plan is not None
    environ = dict.fromkeys(secrets_of(answers), "hush")
    blocks, faults = read_blocks(blocks_text(answers, file="blocks.yaml"), name="blocks.yaml", kinds=KINDS, environ=environ)
    assert faults == []
    assert isinstance(plan.production, Production)
    assert {plan.staging.platform, plan.production.platform} <= set(blocks)
    assert (plan.service, tuple(plan.approval.approvers)) == (answers.service, answers.approvers)
    assert (plan.verification.health[0].path, plan.change_log.tag) == (answers.health, answers.tag)
    assert plan.approval.quorum == min(len(answers.approvers), 1)


def test_scripts_are_told_apart_by_their_environment_and_get_what_is_filled_in() -> None:
    """A script that is not told would deploy to production while staging is meant."""
    answers = starter.Answers(
        "shop", "script", "/", (), command=("./d.sh", "--to={environment}"), addresses=("http://127.0.0.1:1", "http://127.0.0.1:2")
    )
    blocks = yaml.safe_load(blocks_text(answers, file="blocks.yaml"))
    assert blocks["script/shop-staging"]["scripts"]["deploy"] == ["./d.sh", "--to=staging", "deploy", "{version}"]
    assert blocks["script/shop-production"]["scripts"]["rollback"] == ["./d.sh", "--to=production", "deploy", "{previous}"]


def test_hosts_are_proposed_as_addresses_without_their_users_and_ports() -> None:
    """The port of SSH is not the service's."""
    assert starter.addresses_of((("ada@web-1:2222",), ("[::1]:22", "web-2"))) == ("http://web-1", "http://[::1]")


WRONG = [
    ("service", starter.check_service, ["", "Shop", "a b", "-a", "a" * 64, "a\x1b"]),
    ("method", starter.check_method, ["", "ssh", "Local"]),
    ("health", starter.check_health, ["", "healthz", "/a b", "/a#b", "http://a/"]),
    ("approvers", starter.check_approvers, ["", " , ", "none,ada", "Ada", "ada,b!b"]),
    ("command", lambda text: starter.check_command(text, "local"), ["", "'' {port}", "python3 app.py", "python3 'app.py {port}"]),
    ("command", lambda text: starter.check_command(text, "script"), ["./deploy.sh", "./deploy.sh {port}"]),
    ("workload", lambda text: starter.check_workloads(starter.words_of(text)), ["", "a/b", "a/b a/b", "a b", "a/b/c d/e", "A/b c/d"]),
    (
        "address",
        lambda text: starter.check_addresses(starter.words_of(text)),
        [
            "",
            "http://a",
            "http://a http://a/",
            "a:1 b:2",
            "http://a/x http://b",
            "http://u@a http://b",
            "http://a:x http://b",
            "http://a?q http://b",
        ],
    ),
    ("hosts", lambda text: starter.check_hosts(text.split()), ["", "a", "a b c", "a ,", "a,b c,b"]),
    ("edit", starter.check_edit, ["", "a.yaml", "a.yaml:", "/a.yaml:x", "../a.yaml:x", ":x"]),
]


@pytest.mark.parametrize(
    ("option", "check", "text"),
    [(option, check, text) for option, check, texts in WRONG for text in texts],
    ids=lambda value: str(value)[:20],
)
def test_a_wrong_answer_names_its_option_and_a_fix(option: str, check: object, text: str) -> None:
    """Whoever reads it can type the right one."""
    with pytest.raises(BadInput) as caught:
        check(text)  # type: ignore[operator]
    assert caught.value.field == f"--{option}"
    assert caught.value.fix.endswith(".")
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("listed", "tag", "version"),
    [
        ([], "v{version}", ""),
        (["latest", "nightly-3"], "v{version}", ""),
        (["v1.2", "v1.10", "v1.9"], "v{version}", "1.10"),
        (["1.2.0", "1.1.0"], "{version}", "1.2.0"),
        (["v1.0", "2.0"], "{version}", "2.0"),
        (["v1.0", "v2.0rc1"], "v{version}", "1.0"),
        (["v2.0rc1"], "v{version}", "2.0rc1"),
        (["shop-v3.1", "v0.2"], "shop-v{version}", "3.1"),
        (["shop/1.0"], "shop/{version}", "1.0"),
        (["other-v3.1"], "v{version}", ""),
    ],
)
def test_the_tags_say_how_versions_are_named_and_which_is_the_newest(listed: list[str], tag: str, version: str) -> None:
    """By version, not by the order of the text; pre-releases only if there is nothing else."""
    assert starter.propose(listed, "shop") == (tag, version)


@pytest.mark.parametrize(
    ("folder", "service"), [("shop", "shop"), ("My Shop_2", "my-shop-2"), ("---", ""), ("é", ""), ("a" * 80, "a" * 40)]
)
def test_the_folder_proposes_the_name(folder: str, service: str) -> None:
    """Only what is a name."""
    assert starter.service_of(folder) == service
