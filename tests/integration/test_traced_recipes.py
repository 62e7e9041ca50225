"""What the shipped recipes' programs look for while they are tested is in their images.

The tests of every recipe run under strace(1). A path that a program looked for in vain, or that is missing in
a folder that it listed, although a full installation of the same packages has it, must be in
``not_needed.toml``, with the reason why nobody misses it.
"""

from __future__ import annotations

import re
import tempfile
import time
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from builder.image.write import write_image
from builder.oci import Platform
from builder.pipeline import plan_recipe
from builder.progress import Silent
from builder.recipe.load import Request, read_recipe
from builder.recipe.model import Compression, Recipe
from builder.resources import shipped
from builder.runtime.rulebook import Rule, shipped_rules
from builder.stored.read import open_image
from builder.sysroot import Kind, Sysroot, glob_pattern
from builder.verify.smoke import Bench, Subject, smoke_test
from builder.workshop import Workshop
from tests.support.rule_lab import NATIVE, Lab, Proof, make_lab
from tests.support.tools import REPOSITORY, need
from tests.support.tracing import TracingRunner, looks, strangers

pytestmark = [pytest.mark.network, pytest.mark.tools]

RECIPES = sorted(path.stem for path in (REPOSITORY / "recipes").glob("*.toml"))
NOT_NEEDED = tomllib.loads(Path(__file__).with_name("not_needed.toml").read_text("utf-8"))["path"]
ALWAYS = (  # what is Essential, and what every installation of Debian has besides
    *(
        "base-files",
        "base-passwd",
        "bash",
        "bsdutils",
        "coreutils",
        "dash",
        "debianutils",
        "diffutils",
        "dpkg",
    ),
    *("findutils", "grep", "gzip", "hostname", "init-system-helpers", "libc-bin", "login", "ncurses-base"),
    *("ncurses-bin", "perl-base", "sed", "sysvinit-utils", "tar", "util-linux", "tzdata", "netbase"),
    *("ca-certificates", "openssl", "media-types", "libpam-runtime", "locales"),
)
ENGINE = re.compile(r"/(?:proc|sys|dev|run|tmp)(?:/.*)?|/etc/(?:hosts|hostname|resolv\.conf|mtab)")
"""What a container's engine makes."""
SLOWER = 10
"""How much longer a test may take than outside of strace."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    need("strace")
    yield from make_lab(tmp_path_factory.mktemp("traced"))


@pytest.fixture(scope="module")
def debian(lab: Lab) -> frozenset[str]:
    """Every path of a Debian system without anything installed."""
    recipe = Proof(rule="", packages=ALWAYS, argv=(), expect="").recipe
    return _paths(plan_recipe(recipe, lab.workshop).sysroot)


@pytest.mark.parametrize("name", RECIPES)
def test_nothing_that_was_looked_for_is_missing(name: str, lab: Lab, debian: frozenset[str]) -> None:
    recipe = _recipe(name)
    if not recipe.tests:
        pytest.skip("the recipe has no tests")
    unexplained = sorted(_missing(recipe, lab, debian))
    assert unexplained == [], f"looked for in vain: {unexplained}"


def test_a_rule_that_nobody_wrote_would_be_noticed(lab: Lab, debian: frozenset[str]) -> None:
    rules = tuple(rule for rule in shipped_rules() if rule.name != "openssl-configuration")
    assert "/usr/lib/ssl/openssl.cnf" in _missing(_recipe("memcached"), lab, debian, rules)


def test_every_exception_has_a_reason() -> None:
    for row in NOT_NEEDED:
        assert set(row) <= {"glob", "reason", "recipes"}
        assert len(row["reason"].split()) > 4, row
        assert set(row.get("recipes", RECIPES)) <= set(RECIPES), row


def _recipe(name: str) -> Recipe:
    request = Request(folder=REPOSITORY, machine=Platform.parse(NATIVE), given={"date": "20260101"})
    document = read_recipe(
        REPOSITORY / "recipes" / f"{name}.toml", request, fragments=shipped("recipes") / "fragments"
    )
    recipe = document.recipe(Platform.parse(NATIVE))
    return replace(recipe, tests=tuple(replace(one, within=one.within * SLOWER) for one in recipe.tests))


def _missing(
    recipe: Recipe, lab: Lab, debian: frozenset[str], rules: tuple[Rule, ...] | None = None
) -> set[str]:
    """What the programs of the recipe's tests looked for in vain, without the exceptions."""
    planned = plan_recipe(recipe, lab.workshop, rules=rules)
    with tempfile.TemporaryDirectory(dir=lab.folder) as place:
        layout, logs = Path(place, "layout"), Path(place, "logs")
        write_image(planned.plan, compression=Compression.NONE, directory=layout, progress=Silent())
        logs.mkdir()
        _run(recipe, layout, logs, lab.workshop)
        looked = looks(logs)
    image = frozenset(entry.path for layer in planned.plan.layers for entry in layer.entries)
    everything = debian | _paths(planned.sysroot)
    listings: dict[str, set[str]] = {}
    for path in everything:
        listings.setdefault(path.rpartition("/")[0] or "/", set()).add(path)
    missing = strangers(looked, image, everything, listings)
    return {path for path in missing if not ENGINE.fullmatch(path) and not _explained(path, recipe)}


def _run(recipe: Recipe, layout: Path, logs: Path, workshop: Workshop) -> None:
    scratch = layout.with_name("scratch")
    scratch.mkdir()
    bench = Bench(
        runner=TracingRunner(workshop.runner, logs), progress=Silent(), scratch=scratch, clock=time.monotonic
    )
    smoke_test([Subject(image=open_image(layout), recipe=recipe)], bench)


def _paths(sysroot: Sysroot) -> frozenset[str]:
    """Every file and the folders above, also by the links /bin, /lib, /sbin and /lib64 of a merged system."""
    links = {node.path: sysroot.lookup(node.path).path for node in sysroot if node.kind is Kind.SYMLINK}
    short = {link: target for link, target in links.items() if link.count("/") == 1}
    paths = {node.path for node in sysroot if node.kind is not Kind.DIRECTORY}
    paths |= {folder for path in paths for folder in _above(path)}
    through = {
        link + path[len(target) :] for link, target in short.items() for path in paths if _below(path, target)
    }
    return frozenset(paths | through)


def _above(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def _below(path: str, folder: str) -> bool:
    return path.startswith(f"{folder}/")


def _explained(path: str, recipe: Recipe) -> bool:
    dropped = any(glob_pattern(glob).fullmatch(path) for glob in recipe.runtime.drop)
    return dropped or any(
        _expression(row["glob"]).fullmatch(path)
        for row in NOT_NEEDED
        if recipe.name in row.get("recipes", RECIPES)
    )


@cache
def _expression(glob: str) -> re.Pattern[str]:
    return glob_pattern(glob)
