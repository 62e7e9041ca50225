"""The whole Dockerfile of small plans: what is copied from where, what is printed, what is embedded."""

from __future__ import annotations

import base64
import gzip
import io
import re
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from builder.containerfile.write import Subject, containerfile
from builder.errors import Problem, RecipeError, ResolutionError
from builder.lock import Lock, LockedPackage
from builder.oci import ImageConfig, ImageReference, Platform
from builder.plan.model import Entry, ImagePlan, Layer
from builder.reason import Reason, ReasonKind
from builder.recipe.model import Install, Recipe
from builder.resources import shipped
from builder.sysroot import Content, Kind, Node, Package
from tests.support.packages import Dir, File, Link, make_package

AMD64 = Platform("linux", "amd64")
UNPACK = ImageReference.parse(f"docker.io/library/debian:trixie-slim@sha256:{'a' * 64}")
PAYLOAD = Reason(ReasonKind.PAYLOAD, "app")
MADE = Reason(ReasonKind.RECIPE, "[[file]]")


def locked(package: Package, **changes: object) -> LockedPackage:
    one = LockedPackage(
        source="os",
        name=package.name,
        version=package.version,
        architecture=package.architecture,
        url=f"http://deb.test/pool/{package.name}_{package.version}_amd64.deb",
        size=1,
        sha256=package.name[0] * 64,
        source_name=package.source_name,
        source_version=package.source_version,
        requested=True,
        wanted_by="recipe",
    )
    return replace(one, **changes)  # type: ignore[arg-type]


def entry(node: Node, path: str = "", reason: Reason = PAYLOAD, **changes: object) -> Entry:
    one = Entry(
        path=path or node.path,
        kind=node.kind,
        mode=node.mode,
        uid=node.uid,
        gid=node.gid,
        content=node.content,
        target=node.target,
        xattrs=node.xattrs,
        package=node.package,
        reason=reason,
    )
    return replace(one, **changes)  # type: ignore[arg-type]


def made(path: str, content: bytes, reason: Reason = MADE, **changes: object) -> Entry:
    return replace(
        Entry(path=path, kind=Kind.FILE, mode=0o644, content=content, reason=reason),
        **changes,  # type: ignore[arg-type]
    )


def write(
    entries: list[Entry],
    packages: tuple[Package, ...] = (),
    *,
    folder: Path = Path("/project"),
    config: ImageConfig | None = None,
    installs: tuple[Install, ...] = (),
    changes: Mapping[str, object] | None = None,
) -> str:
    """The Dockerfile of entries and the folders above them."""
    entries = list(entries)
    paths = {one.path for one in entries}
    for one in list(entries):
        parent = one.path.rpartition("/")[0]
        while parent and parent not in paths:
            paths.add(parent)
            entries.append(Entry(path=parent, kind=Kind.DIRECTORY, mode=0o755, reason=PAYLOAD))
            parent = parent.rpartition("/")[0]
    entries.sort(key=lambda one: one.path.encode("utf-8", "surrogateescape"))
    plan = ImagePlan(
        platform=AMD64,
        config=config or ImageConfig(),
        annotations=(),
        layers=(Layer(entries=tuple(entries)),),
        packages=(),
        created=1_700_000_000,
        distribution="debian-13",
    )
    recipe = Recipe(path=folder / "app.toml", name="app", platform=AMD64, sources=(), installs=installs)
    subject = Subject(
        recipe=recipe,
        plan=plan,
        lock=Lock(platform=AMD64, packages=tuple(locked(one, **(changes or {})) for one in packages)),
        packages=packages,
        unpack=UNPACK,
        at=lambda key, message: Problem(
            file="app.toml", line=7, key=".".join(map(str, key)), message=message
        ),
    )
    return containerfile(subject, templates=shipped("templates"))


def commands(text: str) -> list[str]:
    """Instructions without comments, continuation lines joined."""
    bare = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", "", bare)
    return [line for line in joined.splitlines() if line]


def archive(text: str) -> tarfile.TarFile:
    """The archive that the Dockerfile embeds."""
    printed = "".join(line for line in commands(text) if "/made.base64" in line)
    found = re.findall(r"printf %s ([A-Za-z0-9+/= ]+?)>+ /made.base64", printed)
    raw = base64.b64decode("".join(found).replace(" ", ""))
    return tarfile.open(fileobj=io.BytesIO(gzip.decompress(raw)))


@pytest.fixture
def package(tmp_path: Path) -> Package:
    files: dict[str, Dir | File | Link] = {
        "/usr/bin/app": File(content=b"program", mode=0o755),
        "/usr/bin/su": File(content=b"setuid", mode=0o4755),
        "/lib/old.so": File(content=b"before /usr was merged"),
        "/usr/lib/new.so": Link("old.so"),
        "/usr/share/app/a b's": File(content=b"blank"),
        **{f"/usr/share/app/many/{number}": File(content=str(number).encode()) for number in range(20)},
        "/usr/share/doc/app/copyright": File(content=b"(c)"),
        "/usr/share/doc/app/changelog": File(content=b"log"),
    }
    return make_package(tmp_path, "app", files)


def nodes(package: Package) -> dict[str, Node]:
    return {node.path: node for node in package.nodes}


def test_a_file_of_a_package_is_copied_with_its_reason_above_it(package: Package) -> None:
    text = write(
        [entry(nodes(package)["/usr/bin/app"], reason=Reason(ReasonKind.ENTRYPOINT, "entrypoint"))],
        (package,),
    )
    assert f"FROM {UNPACK} AS packages\n" in text
    assert 'ADD ["http://deb.test/pool/app_1.0-1_amd64.deb", "/debs/"]' in commands(text)
    assert f"'{'a' * 64}  app_1.0-1_amd64.deb'" in text
    assert "dpkg-deb -x app_1.0-1_amd64.deb /packages/app" in text
    assert (
        "    env -C /packages/app cp -a --parents -t /image \\\n"
        "      # started by the image entrypoint\n"
        "      usr/bin/app\n"
    ) in text
    assert commands(text)[-2:] == ["FROM scratch", "COPY --from=image /image/ /"]


def test_a_folder_that_is_taken_whole_is_one_word_and_another_is_not(package: Package) -> None:
    every = [entry(node) for path, node in nodes(package).items() if path.startswith("/usr/share")]
    words = write([one for one in every if not one.path.endswith("changelog")], (package,)).split()
    assert "usr/share/app" in words
    assert "usr/share/app/many/7" not in words
    assert "usr/share/doc/app/copyright" in words
    assert "usr/share/doc/app" not in words
    without_one = [one for one in every if not one.path.endswith("/many/7")]
    words = write(without_one, (package,)).split()
    assert "usr/share/app/many/8" in words
    assert "usr/share/app" not in words


def test_a_folder_for_two_reasons_is_named_path_by_path(package: Package) -> None:
    every = [entry(node) for path, node in nodes(package).items() if "/many/" in path]
    every[3] = replace(every[3], reason=Reason(ReasonKind.KEEP, "/usr/**"))
    words = write(every, (package,)).split()
    assert "usr/share/app/many" not in words
    assert "usr/share/app/many/7" in words


def test_what_moved_when_usr_was_merged_is_copied_to_its_place(package: Package) -> None:
    text = write([entry(nodes(package)["/lib/old.so"], "/usr/lib/old.so")], (package,))
    assert "env -C /packages/app cp -a --parents -t /image/usr lib/old.so" in " ".join(commands(text))


def test_an_installed_file_gets_its_new_name(package: Package) -> None:
    text = write([entry(nodes(package)["/usr/bin/app"], "/opt/other", package="")], (package,))
    assert "cp -a /packages/app/usr/bin/app /image/opt/other" in " ".join(commands(text))
    assert "mkdir -p opt" in " ".join(commands(text))


def test_owners_modes_links_and_hard_links_are_said(package: Package) -> None:
    all_nodes = nodes(package)
    text = " ".join(
        commands(
            write(
                [
                    entry(all_nodes["/usr/bin/app"], mode=0o700, uid=5, gid=6),
                    entry(all_nodes["/usr/bin/su"]),
                    entry(all_nodes["/usr/lib/new.so"]),
                    entry(
                        all_nodes["/usr/bin/app"], "/usr/bin/second", content=None, hardlink="/usr/bin/app"
                    ),
                    Entry(path="/link", kind=Kind.SYMLINK, mode=0o777, target="-x y", reason=MADE),
                    Entry(path="/tmp", kind=Kind.DIRECTORY, mode=0o1777, gid=3, reason=MADE),  # noqa: S108 (in the image)
                ],
                (package,),
            )
        )
    )
    for said in (
        "chown -hR 0:0 .;",
        "find . -type d -exec chmod 0755 {} +",
        "chown -h 5:6 usr/bin/app",
        "chown -h 0:3 tmp",
        "chmod 0700 usr/bin/app",
        "chmod 1777 tmp",
        "chmod 4755 usr/bin/su",  # chown takes the bit away
        "ln usr/bin/app usr/bin/second",
        "ln -sn -- '-x y' link",
        "usr/lib/new.so",
        "find . -exec touch -hd @1700000000 {} +",
    ):
        assert said in text
    assert text.index("chown -hR") < text.index("chown -h 5:6") < text.index("chmod 4755")


TEXTS = {
    "lines": b"a\n# b\n\n  $c\n",
    "no newline at the end": b"a\nb",
    "one line without an end": b"ab",
    "nothing": b"",
    "letters and tabs": "ü\tß\n".encode(),
}


@pytest.mark.parametrize("name", TEXTS)
def test_short_texts_can_be_read(name: str, tmp_path: Path) -> None:
    text = write([made("/etc/x", TEXTS[name])])
    script = next(line for line in commands(text) if "> etc/x" in line).removeprefix("RUN ")
    (tmp_path / "etc").mkdir()
    subprocess.run(["sh", "-c", script], cwd=tmp_path, check=True)
    assert (tmp_path / "etc/x").read_bytes() == TEXTS[name]
    assert "# /etc/x: made by the recipe: [[file]]" in text


EMBEDDED = {
    "bytes that are no text": made("/etc/x", b"\xff\x00"),
    "a long text": made("/etc/x", b"line\n" * 5000),
    "a control character": made("/etc/x", b"\x1b[1m\n"),
    "a package's record": made("/var/x", b"Package: x\n", Reason(ReasonKind.METADATA, "x")),
    "a name with a line end": made("/etc/x\ny", b"text\n"),
    "a name that is no UTF-8": made("/etc/x\udcff", b"text\n"),
    "an owner, a mode and a capability": made(
        "/x", b"\xff", uid=5, gid=6, mode=0o2750, xattrs=(("security.capability", b"\0\1"),)
    ),
}


@pytest.mark.parametrize("name", EMBEDDED)
def test_the_rest_is_embedded_whole(name: str) -> None:
    one = EMBEDDED[name]
    with archive(write([one])) as found:
        member = found.getmembers()[0]
        assert f"/{member.name}" == one.path
        content = found.extractfile(member)
        assert content is not None
        assert content.read() == one.content
        assert (member.mode, member.uid, member.gid) == (one.mode, one.uid, one.gid)
        assert member.mtime == 1_700_000_000
        assert ("SCHILY.xattr.security.capability" in member.pax_headers) == bool(one.xattrs)


def test_a_packaged_file_whose_name_no_line_can_say_is_embedded_with_its_bytes(tmp_path: Path) -> None:
    package = make_package(tmp_path, "odd", {"/usr/share/odd\udcff": File(content=b"bytes")})
    text = write([entry(package.nodes[-1])], (package,))
    with archive(text) as found:
        content = found.extractfile(found.getmembers()[0])
        assert content is not None
        assert content.read() == b"bytes"


def test_an_attribute_of_a_packaged_file_is_stamped_on_it(tmp_path: Path) -> None:
    package = make_package(
        tmp_path, "ping", {"/usr/bin/ping": File(content=b"abc", mode=0o755, xattrs=(("user.a", b"1"),))}
    )
    text = " ".join(commands(write([entry(package.nodes[-1])], (package,))))
    assert "cat usr/bin/ping >> /stamped.tar" in text
    header = re.search(r"printf %s ([A-Za-z0-9+/= ]+?)> /header.base64", text)
    assert header is not None
    tar = base64.b64decode(header[1].replace(" ", "")) + b"abc" + bytes(509 + 1024)
    with tarfile.open(fileobj=io.BytesIO(tar)) as found:
        assert found.getmembers()[0].pax_headers == {"SCHILY.xattr.user.a": "1"}


def test_a_ca_bundle_is_joined_from_the_packages_certificates(tmp_path: Path) -> None:
    folder = "/usr/share/ca-certificates/mozilla"
    package = make_package(
        tmp_path,
        "ca-certificates",
        {f"{folder}/B.crt": File(content=b"b\n"), f"{folder}/A.crt": File(content=b"a\n")},
    )
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    big = made(bundle, b"a\nb\n", Reason(ReasonKind.METADATA), package="ca-certificates")
    text = write([big], (package,))
    joined = "/usr/share/ca-certificates cat mozilla/A.crt mozilla/B.crt > etc/ssl/certs/ca-certificates.crt"
    assert f"env -C /packages/ca-certificates{joined}" in " ".join(commands(text))
    own = " ".join(commands(write([replace(big, content=b"a\nb\nmy own\n")], (package,))))
    assert "printf '%s\\n' 'my own' >> etc/ssl/certs/ca-certificates.crt" in own
    other = write([replace(big, content=b"my own\nb\n")], (package,))
    with archive(other) as found:
        assert [f"/{one.name}" for one in found] == [bundle]


def test_addresses_that_builders_would_misread_get_an_instruction_and_a_name_of_their_own(
    package: Package,
) -> None:
    url = "https://deb.test/p%3a1/app_1%3a1.0$-1_amd64.deb"
    text = write([entry(nodes(package)["/usr/bin/app"])], (package,), changes={"url": url})
    name = f"app_{'a' * 16}.deb"
    assert f'ADD ["https://deb.test/p%3a1/app_1%3a1.0%24-1_amd64.deb", "/debs/{name}"]' in commands(text)
    assert f"{'a' * 64}  {name}" in text


def test_a_package_that_no_builder_can_fetch_is_refused(package: Package) -> None:
    with pytest.raises(ResolutionError, match="no builder of Dockerfiles can fetch") as error:
        write([entry(nodes(package)["/usr/bin/app"])], (package,), changes={"url": "file:///srv/app.deb"})
    assert "--mirror" in (error.value.hint or "")


def test_files_of_the_author_come_from_the_build_context(tmp_path: Path) -> None:
    source = tmp_path / "project/src"
    source.mkdir(parents=True)
    (source / "main.py").write_bytes(b"print()")
    (source / "run.sh").write_bytes(b"#!/bin/sh")
    (source / "notes").write_bytes(b"ignored")

    def local(name: str, mode: int = 0o644) -> Entry:
        content = Content(store=source / name, offset=0, size=(source / name).stat().st_size, sha256="")
        reason = Reason(ReasonKind.INSTALL, "src")
        return Entry(path=f"/srv/app/{name}", kind=Kind.FILE, mode=mode, content=content, reason=reason)

    install = Install(context=source, to="/srv/app", ignore=("notes",))
    entries = [local("main.py"), local("run.sh", 0o755)]
    text = write(entries, folder=tmp_path / "project", installs=(install,))
    joined = " ".join(commands(text))
    assert 'COPY ["src/", "/context/src/"]' in commands(text)
    assert "env -C /context/src cp -a --parents -t /image/srv/app main.py run.sh" in joined
    assert "chmod -R u=rwX,go=rX srv" in joined
    assert "# The build context must be the folder of app.toml.\n" in text
    above = write(entries, folder=tmp_path / "project/deploy", installs=(install,))
    assert "docker build --platform linux/amd64 -t app -f Dockerfile ..\n" in above
    secret = [entries[0], replace(entries[1], mode=0o500, uid=7)]
    guarded = " ".join(commands(write(secret, folder=tmp_path / "project", installs=(install,))))
    assert "chmod -R" not in guarded
    assert "chmod 0500 srv/app/run.sh" in guarded
    assert "chmod 0644 srv/app/main.py" in guarded


def test_a_context_outside_of_every_folder_is_refused_with_line_and_key() -> None:
    install = Install(context=Path("/elsewhere/x"), to="/x")
    with pytest.raises(RecipeError) as error:
        write([made("/etc/x", b"")], installs=(install,))
    assert "app.toml:7: install.0.context: " in error.value.message


def test_a_value_that_no_dockerfile_can_say_is_refused_with_line_and_key() -> None:
    with pytest.raises(RecipeError) as error:
        write([made("/etc/x", b"")], config=ImageConfig(labels=(("a", "b\nc"),)))
    assert "app.toml:7: image.labels.a: " in error.value.message


def test_the_same_plan_gives_the_same_text_and_only_instructions_that_all_builders_know(
    package: Package,
) -> None:
    entries = [entry(node) for node in package.nodes if node.kind is not Kind.DIRECTORY]
    entries.append(made("/etc/x", b"\xff" * 300_000))
    text = write(list(entries), (package,))
    assert text == write(list(entries), (package,))
    known = {
        "FROM",
        "ADD",
        "COPY",
        "RUN",
        "WORKDIR",
        "LABEL",
        "ENV",
        "USER",
        "EXPOSE",
        "VOLUME",
        "STOPSIGNAL",
    }
    known |= {"HEALTHCHECK", "ENTRYPOINT", "CMD"}
    assert {line.split()[0] for line in commands(text)} <= known
    for line in text.splitlines():
        assert len(line) < 65_000
        assert not line.startswith("# syntax=")
    for line in commands(text):
        assert len(line) < 128 << 10
        assert "<<" not in line
        assert "--mount" not in line
        assert "--chmod" not in line
    assert len(commands(text)) < 60
