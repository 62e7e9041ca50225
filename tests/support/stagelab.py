"""Two people who build with stages: root, and a user without privileges who has subordinate numbers.

The user is one for the test alone: a private mount namespace shows other files in place of /etc/passwd and
the like.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.tools import REPOSITORY, need, python_of_all, python_path, rootlet

USER = 4242
SCAN = '[scan]\nunscannable = "warn"\nfail_on = "none"\nmax_database_age = "any"\n'


@dataclass(kw_only=True)
class Person:
    """Somebody with a home of their own. ``prefix`` starts a program as this person."""

    name: str
    home: Path
    python: str
    prefix: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    cache: Path

    def project(self, name: str, files: Mapping[str, str | bytes]) -> Path:
        """A folder with files that this person owns."""
        folder = self.home / name
        for path, text in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text.encode() if isinstance(text, str) else text)
            target.chmod(0o644 if isinstance(text, str) else 0o755)
        self.own(folder)
        return folder

    def own(self, folder: Path) -> None:
        if self.prefix:
            subprocess.run(["chown", "-R", f"{USER}:{USER}", folder], check=True)

    def arguments(self, *words: str) -> list[str]:
        return [
            *("build", "recipe.toml", "--database", str(self.home / "db"), "--cache", str(self.cache)),
            *("--progress", "plain", *words),
        ]

    def build(
        self, folder: Path, *words: str, status: int = 0, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return rootlet(
            *self.arguments(*words),
            cwd=folder,
            environment={**self.environment, **(environment or {})},
            status=status,
            prefix=self.prefix,
            python=self.python,
        )

    def start(self, folder: Path, *words: str) -> subprocess.Popen[bytes]:
        """A build that is not waited for, in a session of its own."""
        return subprocess.Popen(
            [*self.prefix, self.python, "-m", "builder", *self.arguments(*words)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": python_path(), **self.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def on_a_terminal(self, folder: Path, *words: str, typed: str) -> tuple[int, str]:
        """A build on a terminal of its own; ``typed`` is written once a shell asks. Status, output."""
        import pty  # noqa: PLC0415 (only here)

        ours, theirs = pty.openpty()
        with subprocess.Popen(
            [*self.prefix, self.python, "-m", "builder", *self.arguments(*words)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": python_path(), "TERM": "dumb", **self.environment},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        ) as process:
            os.close(theirs)
            said = ""
            with contextlib.suppress(OSError):  # the terminal's end
                while chunk := os.read(ours, 4096):
                    said += chunk.decode(errors="replace")
                    if typed and ("# " in said.split("exit ends it")[-1]) and "exit ends it" in said:
                        os.write(ours, typed.encode())
                        typed = ""
            os.close(ours)
            return process.wait(60), said

    def stages(self) -> Path:
        return self.cache / "stages" / (str(USER) if self.prefix else str(os.geteuid()))

    def containers(self) -> list[str]:
        """Working containers in the private storage, as buildah lists them."""
        store = self.stages()
        done = subprocess.run(
            [
                *self.prefix,
                *("buildah", "--root", store / "storage", "--runroot", store / "run"),
                *("containers", "--all", "--json"),
            ],
            env={**os.environ, **self.environment},
            capture_output=True,
            check=True,
        )
        return [one["containername"] for one in json.loads(done.stdout or b"[]") or []]

    def everything(self, *folders: str) -> bytes:
        """The bytes of every file in these folders, and the names."""
        parts = []
        for path in sorted(path for folder in folders for path in (self.home / folder).rglob("*")):
            parts.append(os.fsencode(path))
            if path.is_file() and not path.is_symlink():
                parts.append(path.read_bytes())
        return b"\n".join(parts)


def mounts_below(folder: Path) -> list[str]:
    return [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(folder) in line]


@contextlib.contextmanager
def people() -> Iterator[tuple[Person, ...]]:
    """Root and the user; where the tests do not run as root, whoever runs them."""
    need("buildah", "newuidmap")
    with tempfile.TemporaryDirectory(prefix="stages-", ignore_cleanup_errors=True) as name:
        base = Path(name)
        base.chmod(0o755)
        found = [
            Person(
                name="root" if os.geteuid() == 0 else "user",
                home=base / "me",
                cache=base / "me/cache",
                python=python_of_all(),
            )
        ]
        if os.geteuid() == 0:
            need("setpriv", "unshare", "mount")
            prefix = ("sh", str(_become(base)))
            environment = {"HOME": str(base / "user"), "XDG_RUNTIME_DIR": ""}
            found.append(
                Person(
                    name="user",
                    home=base / "user",
                    cache=base / "user/cache",
                    python=python_of_all(),
                    prefix=prefix,
                    environment=environment,
                )
            )
        packages = base / "packages"  # fetched and unpacked once for both
        packages.mkdir()
        packages.chmod(0o777)
        for person in found:
            person.cache.mkdir(parents=True)
            (person.cache / "packages").symlink_to(packages)
            rootlet(
                "database",
                "--database",
                person.home / "db",
                "import",
                REPOSITORY / "tests/data/osv",
                cwd=base,
            )
            person.own(person.home)
        yield tuple(found)
        for person in found:
            _remove(person)


def _become(base: Path) -> Path:
    """A script that starts its arguments as a user with subordinate numbers."""
    lines = ["#!/bin/sh", "set -e"]
    accounts = {"passwd": f"stager:x:{USER}:{USER}::{base}/user:/bin/sh\n", "group": f"stager:x:{USER}:\n"}
    for file, line in accounts.items():
        (base / file).write_text(Path(f"/etc/{file}").read_text() + line)
    for file in ("subuid", "subgid"):
        (base / file).write_text("stager:100000:65536\n")
        Path(f"/etc/{file}").touch()
    lines += [f"mount --bind {base}/{file} /etc/{file}" for file in ("passwd", "group", "subuid", "subgid")]
    lines.append(f'exec setpriv --reuid={USER} --regid={USER} --clear-groups "$@"')
    script = base / "become"
    script.write_text(
        "#!/bin/sh\nexec unshare --mount --propagation private sh " + str(base / "inside") + ' "$@"\n'
    )
    (base / "inside").write_text("\n".join(lines) + "\n")
    return script


def _remove(person: Person) -> None:
    if person.prefix:
        subprocess.run(
            [*person.prefix, "buildah", "unshare", "rm", "-rf", str(person.cache)],
            env={**os.environ, **person.environment},
            check=False,
        )
    shutil.rmtree(person.home, ignore_errors=True)
