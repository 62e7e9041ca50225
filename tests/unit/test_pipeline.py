"""What the pipeline decides itself: one version of a package in an image, whatever the sources say."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import builder.pipeline
from builder.beginning import inputs_of
from builder.engine.command import MachineRunner
from builder.errors import ResolutionError, SmokeError
from builder.files import Stamp, stamp
from builder.lock import Extra, LockedPackage
from builder.oci import Platform
from builder.pipeline import lock_sources
from builder.progress import Silent
from builder.recipe.model import Install, Recipe
from builder.recipe.source_model import DebianSource
from builder.sources.debian.archive import DebianArchive, Effects, Freshness
from builder.transport import Transport
from builder.workshop import Workshop

AMD64 = Platform("linux", "amd64")


def locked(source: str, name: str, version: str) -> LockedPackage:
    return LockedPackage(
        source=source,
        name=name,
        version=version,
        architecture="amd64",
        url=f"http://mirror.test/{name}.deb",
        size=1,
        sha256=f"{hash((name, version)) & 0xFFFF:064x}",
        source_name=name,
        source_version=version,
        requested=False,
        wanted_by="recipe",
    )


Answers = dict[str, tuple[LockedPackage, ...]]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """What each source's lock gives, besides the extras that it is asked for."""
    given: Answers = {}

    def lock(
        archive: DebianArchive,
        _freshness: Freshness,
        _effects: Effects,
        *,
        extra: tuple[Extra, ...] = (),
    ) -> tuple[LockedPackage, ...]:
        wanted = tuple(locked(archive.source.name, one.name, "1") for one in extra)
        return (*given[archive.source.name], *wanted)

    monkeypatch.setattr(builder.pipeline, "lock", lock)
    return given


def workshop_in(folder: Path) -> Workshop:
    progress = Silent()
    return Workshop(
        cache=folder,
        database=folder,
        mirrors=None,
        freshness=Freshness(max_age=1),
        effects=Effects(
            transport=lambda: Transport(progress=progress),
            runner=MachineRunner({}),
            clock=lambda: 0.0,
            progress=progress,
        ),
        native=AMD64,
        epoch=None,
    )


def lock_of(folder: Path, taken: tuple[str, ...] = ()) -> tuple[str, ...]:
    sources = (DebianSource(name="os"), DebianSource(name="more"))
    recipe = Recipe(path=folder / "r.toml", name="x", platform=AMD64, sources=sources)
    found = lock_sources(recipe, workshop_in(folder), taken).packages
    return tuple(f"{one.name} {one.version} {one.source}" for one in found)


def test_the_first_source_brings_what_every_image_needs_and_rules_take(
    tmp_path: Path, answers: Answers
) -> None:
    answers |= {"os": (locked("os", "libc6", "1"),), "more": (locked("more", "libc6", "1"),)}
    assert lock_of(tmp_path, ("ca-certificates",)) == (
        "base-files 1 os",
        "ca-certificates 1 os",
        "libc6 1 os",
    )


def test_two_versions_of_a_package_are_refused_and_both_are_named(tmp_path: Path, answers: Answers) -> None:
    answers |= {"os": (locked("os", "libc6", "1"),), "more": (locked("more", "libc6", "2"),)}
    with pytest.raises(ResolutionError) as raised:
        lock_of(tmp_path)
    assert "libc6 comes to 1 from the source os" in raised.value.message
    assert "to 2 from the source more" in raised.value.message
    assert "pin it" in str(raised.value.hint)


def test_equal_stamps_of_the_inputs_mean_equal_files(tmp_path: Path) -> None:
    context = tmp_path / "context"
    (context / "sub" / "deep").mkdir(parents=True)
    installs = (Install(context=context, to="/srv"),)
    recipe = Recipe(path=tmp_path / "r.toml", name="x", platform=AMD64, sources=(), installs=installs)

    def stamps() -> tuple[Stamp, ...]:
        return tuple(stamp(path) for path in inputs_of((recipe,), workshop_in(tmp_path / "db")))

    before = stamps()
    assert stamps() == before
    (context / "sub" / "deep" / "new").write_text("")
    assert stamps() != before


def test_a_failed_smoke_test_repeats_what_the_plan_warned_of() -> None:
    def plan(*warnings: str) -> Any:
        return SimpleNamespace(plan=SimpleNamespace(warnings=warnings))

    remembering = builder.pipeline._remembering
    with pytest.raises(SmokeError) as caught, remembering((plan("a", "b"), plan("a", *"cdefg"))):
        raise SmokeError("failed", hint="look")
    assert caught.value.hint == "look" + "".join(f"\n  note: {name}" for name in "abcde") + (
        "\n  and 2 more notes: rootlet plan"
    )
