"""Small images around a static BusyBox, and a short way to run smoke tests in them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from builder.engine.command import MachineRunner
from builder.image.write import write_image
from builder.oci import ImageConfig, Platform
from builder.plan.model import Entry
from builder.progress import Silent
from builder.recipe.model import Compression, Recipe, SmokeTest
from builder.stored.read import open_image
from builder.verify.smoke import Bench, SmokeReport, Subject, smoke_test
from tests.support.images import folder, layer_of, plain, plan_of, symlink

NATIVE = Platform("linux", "amd64")
APPLETS = (
    "sh",
    "cat",
    "echo",
    "env",
    "false",
    "id",
    "ls",
    "nc",
    "sleep",
    "stat",
    "true",
    "wget",
    "yes",
    "httpd",
)
PASSWD = b"root:x:0:0::/root:/bin/sh\napp:x:1234:1235::/home/app:/bin/sh\n"
GROUP = b"root:x:0:\napp:x:1235:\nextra:x:77:app\n"


def busybox() -> bytes:
    """The machine's own static BusyBox; skips where it has none."""
    program = shutil.which("busybox")
    if program is None:
        pytest.skip("needs busybox-static")
    content = Path(program).read_bytes()
    if b"/ld-linux" in content or b"/ld-musl" in content:
        pytest.skip("needs busybox-static: this busybox is dynamic")
    return content


def entries(*more: Entry) -> tuple[Entry, ...]:
    """A root folder with a shell, accounts, and ``more``; a path given again replaces the first."""
    plan = [
        *(folder(path) for path in ("/bin", "/etc", "/srv", "/var", "/var/lib")),
        folder("/tmp", 0o1777),  # noqa: S108 (a path of the image)
        plain("/bin/busybox", busybox(), 0o755),
        *(symlink(f"/bin/{name}", "busybox") for name in APPLETS),
        plain("/etc/passwd", PASSWD),
        plain("/etc/group", GROUP),
    ]
    return tuple({entry.path: entry for entry in (*plan, *more)}.values())


def subject(
    work: Path, *tests: SmokeTest, more: tuple[Entry, ...] = (), config: ImageConfig | None = None
) -> Subject:
    """An image in a new layout below ``work`` with these tests."""
    layout = work / f"layout-{time.monotonic_ns()}"
    plan = replace(plan_of(layer_of(*entries(*more))), config=config or ImageConfig())
    write_image(plan, compression=Compression.NONE, directory=layout, progress=Silent())
    recipe = Recipe(path=Path("demo.toml"), name="demo", platform=NATIVE, sources=(), tests=tests)
    return Subject(image=open_image(layout), recipe=recipe)


def bench(work: Path, environment: Mapping[str, str] | None = None) -> Bench:
    """This machine, with ``work`` to work in."""
    runner = MachineRunner(environment or {})
    return Bench(runner=runner, progress=Silent(), scratch=work, clock=time.monotonic)


def prove(
    work: Path, *tests: SmokeTest, more: tuple[Entry, ...] = (), config: ImageConfig | None = None
) -> SmokeReport:
    """Run ``tests`` in a small image; raises what smoke tests raise."""
    return smoke_test((subject(work, *tests, more=more, config=config),), bench(work))[0]
