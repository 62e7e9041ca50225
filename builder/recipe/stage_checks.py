"""What build stages ask of the other sources: that there are any, of the right type, and not in a circle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from builder.recipe.formats import file_path
from builder.recipe.reading import Section
from builder.recipe.stage_keys import names_image
from builder.recipe.tree import Node, Problems, nearest, show

SCRATCH = "scratch"


def check_stages(root: Section, problems: Problems) -> None:
    """Report what is wrong between stages and other sources; sources wrong by themselves are left alone."""
    sources = dict(root.named("sources"))
    known = root.names("sources")
    stages = {name: one for name, one in sources.items() if one.text("type") == "stage"}
    for stage in stages.values():
        _check_start(stage, sources, known, problems)
        _check_commands(stage, problems)
        for copy in stage.sections("copy"):
            _check_copy(copy, known, problems)
    _check_circles(stages, problems)


def _check_start(
    stage: Section, sources: Mapping[str, Section], known: Mapping[str, Node], problems: Problems
) -> None:
    start = stage.text("from")
    source = sources.get(start)
    if start != SCRATCH and start not in known and not names_image(start):
        names = [name for name in known if known[name] is not stage.node]
        hint = nearest(start, (*names, SCRATCH)) or f"there are {', '.join((*names, SCRATCH))}"
        problems.at(
            stage.at("from"),
            f"there is no source {show(start)}; {hint} (an image is written with its registry)",
        )
    elif source is not None and source.text("type") == "host" and not source.has("root"):
        problems.at(stage.at("from"), "the whole machine is no start for a stage; a host source with root is")
    elif stage.has("packages") and not (source and source.text("type") == "debian"):
        problems.at(stage.at("packages"), 'goes with from = the name of a source of type = "debian"')


def _check_commands(stage: Section, problems: Problems) -> None:
    for node in stage.at("run").elements if stage.has("run") else ():
        if isinstance(node.value, tuple) and not (node.elements and node.elements[0].value):
            problems.at(node, "expected a program and its arguments, found none")


def _check_copy(copy: Section, known: Mapping[str, Node], problems: Problems) -> None:
    if not copy.has("from"):
        return
    name = copy.text("from")
    if name not in known:
        hint = nearest(name, known) or f"there are {', '.join(known)}"
        problems.at(copy.at("from"), f"there is no source {show(name)}; {hint}")
    complaint = file_path(copy.text("src")) if copy.text("src") != "/" else ""
    if complaint:
        problems.at(copy.at("src"), complaint)
    if copy.has("ignore"):
        problems.at(copy.at("ignore"), "goes with files of this machine, not with from")


def _check_circles(stages: Mapping[str, Section], problems: Problems) -> None:
    graph = {name: [one for one in _needed(stage) if one in stages] for name, stage in stages.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        names: list[str] = error.args[1]
        circle = " → ".join(reversed(names))
        problems.at(stages[names[-1]].node, f"stages need each other in a circle: {circle}")


def _needed(stage: Section) -> Iterator[str]:
    yield stage.text("from")
    for copy in stage.sections("copy"):
        yield copy.text("from")
