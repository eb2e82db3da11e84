"""Which value of a file is meant: a path, an entry of kustomize's images, the revision of an Argo CD Application."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from blocks.errors import BadInput
from tasks.rules.gitops.places import File, Node, refused

WORD = re.compile(r"""\.?(?P<key>[^.\[\]"=\s]+)|\[(?P<index>\d+)\]|\["(?P<quoted>[^"]+)"\]|\[(?P<name>\w+)=(?P<value>[^\]]+)\]""")
SOURCE_NAMES = ("name", "ref", "chart", "repoURL")


@dataclass(frozen=True)
class Where:
    """The one item of a sequence whose field has this text; of several fields, any may have it."""

    fields: tuple[str, ...]
    value: str


Step = str | int | Where


@dataclass(frozen=True)
class YamlPath:
    """A value at a path: of a manifest, a values file of Helm, or anything else.

    Fields:
        path: Keys with dots between them: `image.tag`, `containers[0].image`, `containers[name=web].image`, `annotations["a.b/c"]`.
        resource: Which document of several: `Kind/name`, as `Deployment/web`. None if the path is in one document only.
    """

    path: str
    resource: str | None = None


@dataclass(frozen=True)
class KustomizeImage:
    """A field of an entry of `images` in a kustomization.

    Fields:
        name: The entry's `name`.
        field: What is set. The entry must have it already.
    """

    name: str
    field: Literal["newName", "newTag", "digest"] = "newTag"


@dataclass(frozen=True)
class ApplicationRevision:
    """The `targetRevision` of an Argo CD Application, or of an ApplicationSet's template.

    Fields:
        source: Which of several sources: its index, or its `name`, `ref`, `chart` or `repoURL`. None if there is one.
        resource: As in `YamlPath`.
    """

    source: int | str | None = None
    resource: str | None = None


Target = YamlPath | KustomizeImage | ApplicationRevision


def parse_path(path: str) -> tuple[Step, ...]:
    """Read a path.

    Raises:
        BadInput: It is not a path.
    """
    steps: list[Step] = []
    place = 0
    while place < len(path):
        found = WORD.match(path, place)
        if found is None or (found["key"] and (path[place] == ".") == (place == 0)):
            fix = 'Write keys with dots between them: `image.tag`, `containers[name=web].image`, `annotations["a.b/c"]`.'
            raise BadInput(f"`{path}` is not a path, from character {place + 1} on", field="path", fix=fix)
        if found["name"]:
            steps.append(Where((found["name"],), found["value"]))
        else:
            steps.append(int(found["index"]) if found["index"] else found["key"] or found["quoted"])
        place = found.end()
    if not steps:
        raise BadInput("the path is empty", field="path", fix="Write the keys that lead to the value, as `image.tag`.")
    return tuple(steps)


def find(file: File, target: Target) -> Node:
    """Find the scalar that a target means.

    Args:
        file: The file.
        target: Which value.

    Returns:
        Its node, which may be replaced.

    Raises:
        BadInput: It is not there, not unique, or cannot be replaced safely; names file, line and fix.
    """
    resource = None if isinstance(target, KustomizeImage) else target.resource
    documents = [one for one in file.documents if resource is None or _is_resource(one, resource)]
    if resource is not None and len(documents) != 1:
        message = f"the file has {len(documents)} documents that are {resource}"
        raise refused(file.name, 1, message, fix="Write `resource` as kind/name of exactly one document.")
    found: list[Node] = []
    misses: list[BadInput] = []
    for document in documents:
        try:
            found.append(_follow(file, document, _steps(file, document, target)))
        except _MissingError as error:
            misses.append(refused(file.name, error.line, error.message, fix=error.fix))
    if len(found) > 1:
        lines = ", ".join(str(node.line) for node in found)
        raise refused(
            file.name, found[1].line, f"several documents have this value (lines {lines})", fix="Name one by `resource`: Kind/name."
        )
    if not found:
        raise misses[0] if misses else refused(file.name, 1, "the file is empty", fix="Write the value once by hand.")
    return _replaceable(file, found[0])


class _MissingError(Exception):
    """A document does not have the path; another one may."""

    def __init__(self, line: int, message: str, fix: str) -> None:
        super().__init__(message)
        self.line, self.message, self.fix = line, message, fix


def _steps(file: File, document: Node, target: Target) -> tuple[Step, ...]:
    if isinstance(target, YamlPath):
        return parse_path(target.path)
    if isinstance(target, KustomizeImage):
        entry = _follow(file, document, ("images", Where(("name",), target.name)))
        digest = _child(entry, "digest")
        if target.field == "newTag" and digest is not None:
            message = f"the image `{target.name}` has a digest, which wins over its tag"
            raise refused(file.name, digest.line, message, fix="Set the digest instead, or remove it.")
        return ("images", Where(("name",), target.name), target.field)
    spec: tuple[Step, ...] = ("spec",)
    if _text(document, "kind") == "ApplicationSet":
        spec = ("spec", "template", "spec")
    elif _text(document, "kind") != "Application":
        raise _MissingError(document.line, "this is neither an Application nor an ApplicationSet", "Name the Application's file.")
    return (*spec, *_source(file, document, spec, target.source), "targetRevision")


def _source(file: File, document: Node, spec: tuple[Step, ...], source: int | str | None) -> tuple[Step, ...]:
    several = _child(_follow(file, document, spec), "sources")
    if several is None:
        if source is None:
            return ("source",)
        raise refused(file.name, document.line, "the Application has one source, not several", fix="Leave `source` out.")
    if source is None and len(several.items) != 1:
        message = f"the Application has {len(several.items)} sources"
        raise refused(file.name, several.line, message, fix="Name one: its index, or its name, ref, chart or repoURL.")
    if isinstance(source, str):
        return ("sources", Where(SOURCE_NAMES, source))
    return ("sources", source or 0)


def _follow(file: File, node: Node, steps: tuple[Step, ...]) -> Node:
    done = ""
    for step in steps:
        _refuse_shared(file, node, done or "the document")
        if isinstance(step, str):
            child = _child(node, step)
            done = f"{done}.{step}" if done else step
        elif isinstance(step, int):
            child = node.items[step] if step < len(node.items) else None
            done = f"{done}[{step}]"
        else:
            child = _item(file, node, step)
            done = f"{done}[{'|'.join(step.fields)}={step.value}]"
        if child is None:
            merged = any(key.value == "<<" for key, _ in node.pairs)
            fix = (
                "It may come from a merge key (`<<`): write it out."
                if merged
                else "Write it once by hand; only values that are there are edited."
            )
            raise _MissingError(node.line, f"`{done}` is not there", fix)
        node = child
    return node


def _item(file: File, node: Node, step: Where) -> Node | None:
    found = [item for item in node.items if any(_text(item, name) == step.value for name in step.fields)]
    if len(found) > 1:
        message = f"{len(found)} items have `{step.fields[0]}: {step.value}`"
        raise refused(file.name, found[1].line, message, fix="Keep one of them, or name it by its index.")
    return found[0] if found else None


def _refuse_shared(file: File, node: Node, name: str) -> None:
    if node.kind == "alias" or node.anchored:
        what = "is an alias (`*name`)" if node.kind == "alias" else "has an anchor (`&name`)"
        raise refused(file.name, node.line, f"{name} {what}, so an edit would change other places", fix="Write the values out.")
    if node.tag is not None:
        raise refused(file.name, node.line, f"{name} has the tag `{node.tag}`", fix="Remove the tag.")


def _replaceable(file: File, node: Node) -> Node:
    _refuse_shared(file, node, "the value")
    if node.kind != "scalar":
        raise refused(file.name, node.line, f"the value is a {node.kind}", fix="Name a text or number below it.")
    if node.style in {"|", ">"}:
        raise refused(
            file.name, node.line, "the value is a block (`|` or `>`)", fix="Write it in one line, or use `valuesObject` for Helm values."
        )
    raw = file.text[node.start : node.end]
    if not raw:
        raise refused(file.name, node.line, "the value is empty", fix='Write one once by hand; `""` will do.')
    if len(raw.splitlines()) > 1:
        raise refused(file.name, node.line, "the value has several lines", fix="Write it in one line.")
    if "{{" in raw:
        raise refused(file.name, node.line, "the value is a template (`{{ }}`)", fix="Name the value that fills it.")
    return node


def _is_resource(document: Node, resource: str) -> bool:
    metadata = _child(document, "metadata")
    return metadata is not None and f"{_text(document, 'kind')}/{_text(metadata, 'name')}" == resource


def _child(node: Node, key: str) -> Node | None:
    return next((value for name, value in node.pairs if name.kind == "scalar" and name.value == key), None)


def _text(node: Node, key: str) -> str | None:
    child = _child(node, key)
    return child.value if child is not None and child.kind == "scalar" else None
