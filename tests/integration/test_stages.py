"""Build stages with the real buildah, as root and as a user: results, network, secrets, limits, accidents."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.stagelab import SCAN, Person, mounts_below, people
from tests.support.tools import need, rootlet

pytestmark = [pytest.mark.network, pytest.mark.tools]

NAMES = ("root", "user") if os.geteuid() == 0 else ("user",)


@pytest.fixture(scope="module")
def everybody() -> Iterator[dict[str, Person]]:
    with people() as found:
        yield {person.name: person for person in found}


@pytest.fixture(params=NAMES)
def person(request: pytest.FixtureRequest, everybody: dict[str, Person]) -> Person:
    return everybody[request.param]


C_PROJECT = {
    "Makefile": "app: main.c libgreet.so\n"
    "\t$(CC) $(CFLAGS) -o $@ main.c -L. -lgreet -lz -Wl,-rpath,/usr/lib/app\n"
    "libgreet.so: greet.c\n\t$(CC) $(CFLAGS) -shared -fPIC -o $@ greet.c\n",
    "greet.c": '#include <stdio.h>\nvoid greet(const char *who) { printf("hello %s\\n", who); }\n',
    "main.c": "#include <zlib.h>\nvoid greet(const char *);\n"
    "int main(void) { greet(zlibVersion()); return 0; }\n",
    "notes.txt": "not for the stage",
    ".dockerignore": "*.txt\nrecipe.toml\n",
    "recipe.toml": """\
schema = 1
name = "greeter"
entrypoint = ["/usr/bin/greeter"]

[sources.os]
suite = "trixie"

[sources.build]
type = "stage"
from = "os"
packages = ["gcc", "libc6-dev", "make", "zlib1g-dev"]
copy = [{ src = ".", dest = "/src" }]
workdir = "/src"
env = { CFLAGS = "-O2 -s" }
cache = ["/var/cache/seen"]
run = [
    "date +%N > /var/cache/seen/first; sleep 2.2; test ! -e notes.txt",
    ["make", "CC=gcc"],
    "LD_LIBRARY_PATH=. ./app > out; date +%N > /var/cache/seen/last",
]

[sources.pick]
type = "stage"
from = "scratch"
copy = [{ from = "build", src = "/src/app", dest = "/usr/bin/greeter" }]

[[install]]
from = "pick"
path = "/usr/bin/greeter"
[[install]]
from = "build"
path = "/src/libgreet.so"
to = "/usr/lib/app/libgreet.so"

[[test]]
run = ["/usr/bin/greeter"]
stdout = "^hello 1\\\\.[0-9.]+$"
"""
    + SCAN,
}


@pytest.fixture(scope="module")
def greeter(everybody: dict[str, Person]) -> dict[str, tuple[Path, str]]:
    """The project of each person, built once, and what the build printed."""
    made = {}
    for person in everybody.values():
        folder = person.project("greeter", C_PROJECT)
        made[person.name] = (folder, person.build(folder).stdout)
    return made


def seen(person: Person) -> dict[str, str]:
    """When the marking commands of the stage ran last, by their mark."""
    found = (person.stages() / "caches").glob("*/*")
    return {path.name: path.read_text() for path in found}


def steps(stderr: str) -> list[str]:
    return [line for line in stderr.splitlines() if line.startswith("· build ")]


def test_a_c_program_with_its_library_and_one_of_the_stages_packages(
    person: Person, greeter: dict[str, tuple[Path, str]]
) -> None:
    folder, said = greeter[person.name]
    assert said.startswith("greeter:latest@sha256:")
    plan = rootlet_json(person, folder, "plan", "recipe.toml", "--json")
    files = {one["path"]: one.get("package", "") for layer in plan["layers"] for one in layer["entries"]}
    zlib = [path for path in files if "libz.so.1." in path]
    assert [files[path] for path in zlib] == ["zlib1g"]
    assert files["/usr/bin/greeter"] == files["/usr/lib/app/libgreet.so"] == ""
    assert "zlib1g" in {package["name"] for package in plan["packages"]}
    assert not any("gcc" in package["name"] for package in plan["packages"])


def rootlet_json(person: Person, folder: Path, command: str, *words: str) -> dict[str, Any]:
    done = rootlet(
        command,
        *words,
        "--cache",
        person.cache,
        cwd=folder,
        environment=person.environment,
        prefix=person.prefix,
        python=person.python,
    )
    plain: dict[str, Any] = json.loads(done.stdout)
    return plain


def test_root_and_a_user_make_the_same_image(greeter: dict[str, tuple[Path, str]]) -> None:
    assert len({said for _, said in greeter.values()}) == 1


def test_nothing_runs_again_but_what_comes_after_a_change(
    person: Person, greeter: dict[str, tuple[Path, str]]
) -> None:
    folder, said = greeter[person.name]
    before = seen(person)
    for path in folder.rglob("*.c"):
        os.utime(path, (1, 1))
    again = person.build(folder, "--force")
    assert (steps(again.stderr), again.stdout, seen(person)) == ([], said, before)

    recipe = folder / "recipe.toml"
    recipe.write_text(C_PROJECT["recipe.toml"].replace("./app > out", "./app > out2"))
    last = person.build(folder)
    assert [line.split(":")[0] for line in steps(last.stderr)] == ["· build 2/3", "· build 3/3"]
    assert seen(person)["first"] == before["first"]
    assert seen(person)["last"] != before["last"]

    (folder / "greet.c").write_text(C_PROJECT["greet.c"].replace("hello", "hi"))
    person.build(folder, status=6)  # the test of the recipe sees the new program
    assert seen(person)["first"] != before["first"]


def test_a_stage_starts_from_an_image_with_its_variables(
    person: Person, greeter: dict[str, tuple[Path, str]]
) -> None:
    folder, _ = greeter[person.name]
    need("busybox")
    recipe = f"""\
schema = 1
name = "again"
entrypoint = ["/usr/bin/busybox"]
[sources.os]
suite = "trixie"
[sources.more]
type = "stage"
from = "oci:{folder}/dist/greeter"
copy = [{{ src = "busybox", dest = "/usr/bin/" }}]
run = [["/usr/bin/greeter"], ["/usr/bin/busybox", "touch", "/new"]]
[[install]]
from = "more"
path = "/usr/bin/busybox"
[[install]]
from = "more"
path = "/new"
to = "/usr/share/new"
"""
    busybox = Path(shutil.which("busybox") or "").read_bytes()
    project: dict[str, str | bytes] = {"busybox": busybox, "recipe.toml": recipe + SCAN}
    done = person.build(person.project("from-image", project))
    assert [line.split(" ")[0] for line in lines_of(done.stderr)] in (["hello"], ["hi"])


def shell_project(run: str, *, keys: str = "", install: str = "/out") -> dict[str, str | bytes]:
    """A stage that has busybox and nothing else; ``run`` is TOML."""
    need("busybox")
    recipe = f"""\
schema = 1
name = "shell"
entrypoint = ["/usr/bin/busybox"]
[sources.os]
suite = "trixie"
[sources.box]
type = "stage"
from = "scratch"
copy = [{{ src = "busybox", dest = "/bin/" }}, {{ src = "busybox", dest = "/bin/sh" }}]
run = [["/bin/sh", "-c", "/bin/busybox --install -s /bin"], {run}]
{keys}
[[install]]
from = "box"
path = "{install}"
to = "/usr/share/out"
[[install]]
from = "box"
path = "/bin/busybox"
to = "/usr/bin/busybox"
"""
    return {"busybox": Path(shutil.which("busybox") or "").read_bytes(), "recipe.toml": recipe + SCAN}


def lines_of(stderr: str) -> list[str]:
    return [line.removeprefix("  | ") for line in stderr.splitlines() if line.startswith("  | ")]


@pytest.mark.parametrize("isolation", ["chroot", "oci"])
def test_there_is_no_network_unless_it_is_asked_for(person: Person, isolation: str) -> None:
    if isolation == "oci":
        need("runc")
    look = '"grep : /proc/net/dev | cut -d: -f1 | tr -d \\" \\" | sort | tee /out; wc -l < /proc/net/route"'
    folder = person.project(f"network-{isolation}", shell_project(look))
    done = person.build(folder, "--no-cache", environment={"BUILDAH_ISOLATION": isolation})
    assert lines_of(done.stderr) == ["lo", "1"]  # no interface but the loopback, no route
    if isolation == "chroot":
        machine = sorted(path.name for path in Path("/sys/class/net").iterdir())
        open_ = person.project("network-on", shell_project(look, keys="network = true"))
        shown = lines_of(person.build(open_).stderr)
        assert [line for line in shown if line in machine] == machine


def test_a_secret_is_nowhere(person: Person) -> None:
    secret = "q7Zr-very/secret+token"  # noqa: S105 (made for this test)
    person = replace(person, cache=person.home / "secret-cache")
    keys = 'secrets = ["token=env:MY_TOKEN"]'
    run = (
        '"test $(wc -c < /run/secrets/token) = 22; cat /run/secrets/token; base64 < /run/secrets/token >&2", '
        '"ls -R /run > /out; echo done"'
    )
    folder = person.project("secret", shell_project(run, keys=keys))
    done = person.build(folder, environment={"MY_TOKEN": secret})
    assert sorted(lines_of(done.stderr)) == ["***", "***", "done"]

    leaking = shell_project('"cp /run/secrets/token /out"', keys=keys)
    refused = person.build(person.project("leak", leaking), environment={"MY_TOKEN": secret}, status=4)
    assert "A secret of the stage was written to /out: nothing is kept" in refused.stderr
    kept = shell_project('"cp /run/secrets/token /cache/x; touch /out"', keys=f'{keys}\ncache = ["/cache"]')
    refused = person.build(person.project("kept", kept), environment={"MY_TOKEN": secret}, status=4)
    assert "A secret of the stage was written to" in refused.stderr

    said = (done.stderr + done.stdout + refused.stderr).encode()
    everything = person.everything("secret", "leak", "kept", "secret-cache")
    for text in (secret.encode(), b"cTdaci12ZXJ5"):  # and the beginning of its base64
        assert text not in said
        assert text not in everything
    assert b"busybox" in everything
    assert person.containers() == []


LIMITS = {
    "time": ('"sleep 30"', 'time = "1s"', "did not finish within 1 s and was stopped"),
    "memory": (
        '"dd if=/dev/zero of=/dev/null bs=300M count=1 2>/dev/null & tail /dev/zero"',
        'memory = "64MiB"',
        "used more than 64 MiB of memory and was stopped",
    ),
}


@pytest.mark.parametrize("case", LIMITS)
def test_limits(person: Person, case: str) -> None:
    run, keys, words = LIMITS[case]
    folder = person.project(f"limit-{case}", shell_project(run, keys=keys))
    started = time.monotonic()
    done = person.build(folder, status=4)
    assert words in done.stderr
    assert time.monotonic() - started < 25
    assert person.containers() == []


def test_processors_user_and_folder(person: Person) -> None:
    keys = 'cpus = 1\nuser = "7:8"\nworkdir = "/work/place"\nenv = { A = "b c" }'
    run = '"busybox nproc; busybox id -u; busybox id -g; pwd; echo $A"'
    project = shell_project(run, keys=keys, install="/bin/busybox")
    install = '["/bin/sh", "-c", "/bin/busybox --install -s /bin"], '  # that user may not
    recipe = str(project["recipe.toml"]).replace(install, "")
    folder = person.project("settings", {**project, "recipe.toml": recipe})
    assert lines_of(person.build(folder).stderr) == ["1", "7", "8", "/work/place", "b c"]


def test_a_failure_shows_the_end_and_keeps_the_whole_log(person: Person) -> None:
    run = '"seq 1 50; echo broken >&2; exit 42"'
    folder = person.project("failing", shell_project(run))
    done = person.build(folder, status=4)
    assert (
        "The stage box failed at command 2 of 2, seq 1 50; echo broken >&2; exit 42: it ended with status 42"
        in done.stderr
    )
    log = Path(done.stderr.split("the whole log: ")[1].split(";")[0])
    text = log.read_text()
    assert "$ seq 1 50; echo broken >&2; exit 42\n1\n2\n" in text
    assert "broken\n" in text
    assert person.containers() == []


def test_a_shell_is_opened_in_a_stage_that_failed(person: Person) -> None:
    folder = person.project("debug", shell_project('"touch /made; exit 3"'))
    status, said = person.on_a_terminal(
        folder, "--debug-shell", typed="echo in$((40+2))side; ls /made; exit\n"
    )
    assert status == 4, said
    assert "in42side" in said
    assert "/made" in said.split("in42side")[1]
    assert person.containers() == []


def test_the_doctor_knows_that_stages_work_here(person: Person) -> None:
    plain = rootlet_json(person, person.home, "doctor", "--json")
    rows = {row["name"].strip(): row for row in plain["rows"]}
    assert plain["works"]
    assert rows["builds with stages"]["works"]
    assert rows["isolation chroot"]["detail"] == "runs programs; no network but the loopback"


def test_everything_that_stages_keep_can_be_removed(person: Person) -> None:
    apart = replace(person, cache=person.home / "removed-cache")
    run = '"mkdir /closed; touch /closed/x; chown -R 70:70 /closed; chmod 0 /closed; touch /out"'
    apart.build(apart.project("removed", shell_project(run)))
    assert (apart.stages() / "storage").is_dir()
    rootlet(
        "cache",
        "--cache",
        apart.cache,
        "clean",
        cwd=apart.home,
        environment=apart.environment,
        prefix=apart.prefix,
        python=apart.python,
    )
    assert not (apart.cache / "stages").exists()


def nothing_is_left(person: Person, folder: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and (person.containers() or mounts_below(person.home)):
        time.sleep(0.2)
    assert person.containers() == []
    assert mounts_below(person.home) == []
    assert not list(folder.glob("dist/*/index.json"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["SIGINT", "SIGKILL"])
def test_killed_at_any_moment_nothing_is_left_and_the_next_build_works(
    person: Person, number: signal.Signals
) -> None:
    run = '"sleep 0.4; cp /bin/busybox /out", "sleep 0.4; dd if=/dev/zero of=/big bs=1M count=20 2>&1"'
    folder = person.project(f"killed-{number.name}", shell_project(run))
    chance = random.Random(4)  # noqa: S311 (moments, not secrets)
    for _ in range(6):
        with person.start(folder, "--no-cache") as process:
            time.sleep(chance.uniform(0.1, 2.6))
            victims = (
                descendants(process.pid) if number is signal.SIGINT else [process.pid, *rootlets(process.pid)]
            )
            for pid in victims:
                with_kill(pid, number)
            if process.wait(60) == 0:  # it was quicker
                shutil.rmtree(folder / "dist")
    nothing_is_left(person, folder)
    person.build(folder)
    assert (folder / "dist/shell/index.json").is_file()
    assert not list((person.stages() / "rooms").iterdir())


def with_kill(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def descendants(pid: int) -> list[int]:
    """The process itself, through the programs that only change the user."""
    return rootlets(pid) or [pid]


def rootlets(pid: int) -> list[int]:
    """The rootlet process at or below ``pid``, not what it started."""
    words = Path(f"/proc/{pid}/cmdline")
    try:
        if b"\0-m\0builder\0" in words.read_bytes() and b"unshare" not in words.read_bytes().split(b"\0")[0]:
            found = [pid]
        else:
            found = []
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return found or [one for child in children for one in rootlets(int(child))]


def test_eight_builds_at_once_on_one_storage(person: Person) -> None:
    folders = []
    for number in range(8):
        # Two and two are the same stage: one of them waits and finds what the other made.
        run = f'"echo {number // 2} > /out; sleep 0.3"'
        folders.append(person.project(f"many-{number}", shell_project(run)))
    running = [person.start(folder) for folder in folders]
    assert [process.wait(300) for process in running] == [0] * 8
    assert person.containers() == []
    assert all((folder / "dist/shell/index.json").is_file() for folder in folders)


def test_a_full_disk_leaves_nothing_and_the_next_build_works(everybody: dict[str, Person]) -> None:
    if "root" not in everybody:
        pytest.skip("needs root to make a small disk")
    person = everybody["root"]
    small = person.home / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", small], check=True)
    try:
        folder = person.project("full", shell_project('"dd if=/dev/zero of=/out bs=1M count=200"'))
        cramped = replace(person, cache=small / "cache")

        done = cramped.build(folder, status=9)
        assert "rootlet: The disk is full" in done.stderr
        recipe = folder / "recipe.toml"
        recipe.write_text(recipe.read_text().replace("count=200", "count=60"))
        late = cramped.build(folder, status=9)  # it runs, but what it left cannot be kept
        assert "disk is full" in late.stderr or "No space left" in late.stderr
        assert not (folder / "dist").exists()
        recipe.write_text(recipe.read_text().replace("count=60", "count=1"))
        cramped.build(folder)
    finally:
        subprocess.run(["umount", small], check=True)
