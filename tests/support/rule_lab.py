"""The proof of a rule: a real program runs in the image that rootlet plans, and does not without that rule.

Nothing is compressed or written as an image: the entries of the plan are laid out as a folder.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from builder.engine.command import MachineRunner
from builder.oci import ImageConfig, Platform
from builder.pipeline import plan_recipe
from builder.plan.model import Entry, ImagePlan
from builder.progress import Silent
from builder.recipe.model import Recipe, RecipeFile, Runtime
from builder.recipe.source_model import DebianSource
from builder.runtime.rulebook import Rule, shipped_rules
from builder.sources.debian.apt_sources import machine_mirrors
from builder.sources.debian.archive import Effects, Freshness
from builder.sysroot import Content, Kind
from builder.transport import Transport
from builder.workshop import Workshop
from tests.support import inside
from tests.support.tools import cache_folder, need, roomy

_DAY = 86400.0
_TIME_LIMIT = 60
_PROXIES = {
    name: os.environ[name] for name in ("http_proxy", "https_proxy", "no_proxy") if name in os.environ
}
NATIVE = {"aarch64": "linux/arm64"}.get(os.uname().machine, "linux/amd64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """One row of a table: with every rule ``expect`` is printed (an expression that is searched for) and the
    program ends well; without ``rule`` and those of ``also``, ``without`` is printed and ``expect`` is not.

    ``files`` are text files added by the recipe; ``writable`` folders are empty and in memory.
    """

    rule: str
    packages: tuple[str, ...]
    argv: tuple[str, ...]
    expect: str
    without: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    features: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    stdin: str = ""
    writable: tuple[str, ...] = ()
    mounts: Mapping[str, Path] = field(default_factory=dict)
    """Folders of this machine, by where they are seen."""
    suite: str = "trixie"
    user: str = "0"
    entrypoint: tuple[str, ...] = ()
    """What the image starts, where that matters; ``argv`` is what is run."""
    also: tuple[str, ...] = ()
    """Other rules that must be away for the difference to be seen."""

    @property
    def recipe(self) -> Recipe:
        """A recipe of these packages, without a name or place of its own."""
        # Proofs with the same words share one plan: only what decides about files goes in.
        return Recipe(
            path=Path("lab.toml"),
            name="lab",
            platform=Platform.parse(NATIVE),
            sources=(DebianSource(name="os", suite=self.suite, packages=self.packages),),
            files=tuple(RecipeFile(path=path, content=text) for path, text in sorted(self.files.items())),
            runtime=Runtime(features=self.features, drop=self.drop, keep=self.keep),
            config=ImageConfig(env=tuple(self.env.items()), user=self.user, entrypoint=self.entrypoint),
        )


class Lab:
    """Plans recipes and lays them out in ``folder``, each once."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self._store = folder / "store"
        self._store.mkdir()
        mirrors = machine_mirrors()
        if mirrors is None:
            pytest.skip("this machine has no apt sources of Debian's archive")
        effects = Effects(
            transport=lambda: Transport(progress=Silent(), proxies=_PROXIES),
            runner=MachineRunner(os.environ),
            clock=time.time,
            progress=Silent(),
        )
        self.workshop = Workshop(
            cache=cache,
            database=folder / "database",
            mirrors=mirrors,
            freshness=Freshness(max_age=_DAY),
            effects=effects,
            native=Platform.parse(NATIVE),
            epoch=0,
        )
        self.root = functools.cache(self._root)

    def plan(self, recipe: Recipe, rules: tuple[Rule, ...] | None = None) -> ImagePlan:
        """Plan ``recipe`` with ``rules`` (None: the shipped ones)."""
        return plan_recipe(recipe, self.workshop, rules=rules).plan

    def check(self, proof: Proof) -> None:
        """Hold ``proof``."""
        status, output = self.run(proof)
        assert status == 0, f"with all rules, status {status}:\n{output}"
        assert re.search(proof.expect, output), f"with all rules {proof.expect!r} is not in:\n{output}"
        status, output = self.run(proof, without=frozenset({proof.rule, *proof.also}))
        assert not (status == 0 and re.search(proof.expect, output)), (
            f"{proof.rule} changes nothing:\n{output}"
        )
        assert re.search(proof.without, output), (
            f"without {proof.rule} {proof.without!r} is not in:\n{output}"
        )

    def command(self, proof: Proof, *, without: frozenset[str] = frozenset()) -> list[str]:
        """Give what runs the program in an image planned without some rules, in the network of its caller."""
        recipe = proof.recipe
        image = inside.Unpacked(root=self.root(recipe, without), config=config_of(recipe.config))
        command = inside.command(image, argv=proof.argv)
        mounts = [word for folder in proof.writable for word in ("--tmpfs", folder)]
        mounts += [word for there, here in proof.mounts.items() for word in ("--ro-bind", str(here), there)]
        place = command.index("--chdir")
        return [*command[:place], *mounts, *command[place:]]

    def run(self, proof: Proof, *, without: frozenset[str] = frozenset()) -> tuple[int, str]:
        """Run the program in an image planned without some rules; its status, and both its streams."""
        done = subprocess.run(
            ["unshare", "--net", *self.command(proof, without=without)],
            input=proof.stdin.encode(),
            capture_output=True,
            timeout=_TIME_LIMIT,
            check=False,
        )
        return done.returncode, (done.stdout + done.stderr).decode(errors="replace")

    def _root(self, recipe: Recipe, without: frozenset[str]) -> Path:
        known = {rule.name for rule in shipped_rules()}
        assert without <= known, f"there is no rule {', '.join(sorted(without - known))}"
        rules = tuple(rule for rule in shipped_rules() if rule.name not in without) if without else None
        return self.lay(self.plan(recipe, rules))

    def lay(self, plan: ImagePlan) -> Path:
        """Lay the entries of ``plan`` out as a folder."""
        root = Path(tempfile.mkdtemp(prefix="root-", dir=self.folder))
        root.chmod(0o755)
        for layer in plan.layers:
            for entry in layer.entries:
                self._lay(entry, str(root))
        return root

    def _lay(self, entry: Entry, root: str) -> None:
        path = root + entry.path
        if entry.kind is Kind.DIRECTORY:
            with contextlib.suppress(FileExistsError):
                os.mkdir(path)  # noqa: PTH102 (thousands of them: paths as objects take half of the time)
            os.chmod(path, entry.mode | 0o700)  # noqa: PTH101 (as above)
        elif entry.kind is Kind.SYMLINK:
            os.symlink(entry.target, path)  # noqa: PTH211 (as above)
        elif entry.hardlink:
            os.link(root + entry.hardlink, path)
        elif isinstance(entry.content, bytes):
            Path(path).write_bytes(entry.content)
            os.chmod(path, entry.mode & 0o777)  # noqa: PTH101 (as above)
        elif entry.content is not None:
            os.link(self._stored(entry.content, entry.mode & 0o777), path)

    def _stored(self, content: Content, mode: int) -> Path:
        """Give the bytes as a file that roots share by hard links: the file system is asked for them once."""
        name = content.sha256 or f"{content.store.name}-{content.offset}"
        path = self._store / f"{name}-{mode:o}"
        if not path.exists():
            with content.store.open("rb") as stream:
                path.write_bytes(os.pread(stream.fileno(), content.size, content.offset))
            path.chmod(mode)
            os.utime(path, (0, 0))  # as in an image, where all files are of one time
        return path


def config_of(config: ImageConfig) -> dict[str, object]:
    """Give what :mod:`tests.support.inside` reads of an image's configuration."""
    return {"Env": [f"{name}={value}" for name, value in config.env], "User": config.user or "0"}


def make_lab(folder: Path) -> Iterator[Lab]:
    """Give a lab on the machine's own package cache, for a fixture of a module."""
    need("bwrap", "unshare")
    with roomy(folder) as place:
        yield Lab(place, cache_folder())
