"""Recipes that are right and recipes that are wrong, with the exact report; and a short way to read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.errors import RecipeError
from builder.oci import Platform
from builder.recipe.load import Document, Request, read_recipe

AMD64 = Platform("linux", "amd64")
ARM64 = Platform("linux", "arm64")
HEAD = 'schema = 1\nname = "x"\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What the command line would say."""

    platforms: tuple[Platform, ...] = ()
    profiles: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    given: tuple[tuple[str, str], ...] = ()


def read(folder: Path, files: str | Mapping[str, str], ask: Ask | None = None) -> Document:
    """Write files (one text is recipe.toml) below ``folder`` and read recipe.toml there."""
    for name, text in ({"recipe.toml": files} if isinstance(files, str) else files).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8", newline="")
    ask = ask or Ask()
    request = Request(
        folder=folder,
        machine=AMD64,
        platforms=ask.platforms,
        profiles=ask.profiles,
        settings=ask.settings,
        given=dict(ask.given),
    )
    return read_recipe(Path("recipe.toml"), request, fragments=folder / "fragments")


def report(folder: Path, files: str | Mapping[str, str], ask: Ask | None = None) -> tuple[str, ...]:
    """The lines of the report without the recipe's file name; () when nothing is wrong."""
    try:
        read(folder, files, ask)
    except RecipeError as error:
        return tuple(str(problem).removeprefix("recipe.toml:").strip() for problem in error.problems)
    return ()


VALID: Mapping[str, str] = {
    "the shortest": 'schema = 1\nname = "redis"\npackages = ["redis-server"]\n'
    'entrypoint = ["/usr/bin/redis-server"]\n',
    "only a name": HEAD,
    "a source whose type a profile completes": HEAD
    + '[sources.here]\ntype = "host"\n[profile.ci.sources.here]\nroot = "/ci"\n',
    "stages of every kind": HEAD
    + '[sources.os]\n[sources.a]\ntype = "stage"\nfrom = "os"\npackages = ["gcc"]\n'
    'run = ["make", ["/b", "-c"]]\nenv = { A = "b" }\n'
    'copy = [{ src = ".", dest = "/src", ignore = ["!x"] }, { src = "f", dest = "/etc/" }]\n'
    'workdir = "/src"\nuser = "nobody"\nnetwork = true\nsecrets = ["t", "u=env:U", "v=file:k"]\n'
    'cache = ["/root/.cache"]\nmemory = "2GB"\ncpus = 2\ntime = "10m"\n'
    '[sources.b]\ntype = "stage"\nfrom = "a"\ncopy = [{ from = "c", src = "/x", dest = "/y" }]\n'
    '[sources.c]\ntype = "stage"\nfrom = "scratch"\n',
    "every short form": HEAD
    + 'tags = ["1", "latest"]\nsuite = "bookworm"\npackages = ["a1"]\nentrypoint = ["/a"]\ncmd = ["b"]\n'
    'user = "a"\nenv = { A = "b" }\nports = [80, "53/udp"]\n',
    "short and long forms of different keys": HEAD
    + 'packages = ["a1"]\n[sources.os]\nmirror = "http://mirror.test/debian"\n[config]\nworkdir = "/a"\n'
    '[image]\nlabels = { a = "b" }\n',
    "a name that a fragment gives": 'schema = 1\nextends = ["named"]\n',
    "a source with everything": HEAD
    + '[sources.tools]\ntype = "debian"\nsuite = "trixie-backports"\ncomponents = ["main", "non-free"]\n'
    'packages = ["g++", "libc6"]\nmirror = "https://mirror.test:8443/debian/"\nsecurity_mirror = '
    '"http://mirror.test/security"\nsecurity = false\nsnapshot = "20261101T000000Z"\n'
    'keyring = "keys/mirror.asc"\npin = { openssl = "1:3.5.1-1+b1" }\n',
    "wheels": HEAD
    + '[sources.a]\ntype = "python"\nrequirements = "r.txt"\nindex = "https://u:p@a.test/simple"\n'
    'extra_indexes = ["file:///x"]\nlinks = "wheels"\npython = "3.13"\nlibc = "musl-1.2"\nhashes = false\n'
    '[sources.b]\ntype = "python"\npyproject = "pyproject.toml"\nextras = ["db"]\ngroups = ["run"]\n'
    '[[install]]\nfrom = "a"\nto = "/opt/lib/"\n[[install]]\nfrom = "b"\npath = "/usr/local/bin"\n',
    "repositories": HEAD
    + f'[sources.a]\ntype = "git"\nurl = "https://a.test:8443/a.git"\ncommit = "{"a1" * 20}"\n'
    'ref = "v1.2/x"\n'
    f'[sources.b]\ntype = "git"\npath = ".."\ncommit = "{"a1" * 32}"\nsubmodules = true\n',
    "archives": HEAD
    + f'[sources.a]\ntype = "archive"\nurl = "https://a.test:8443/a.tgz?raw=1"\nsha256 = "{"a1" * 32}"\n'
    '[sources.b]\ntype = "archive"\npath = "../b.zip"\nstrip = 1\nroot = "/usr"\n',
    "installs": HEAD
    + '[sources.os]\n[[install]]\nfrom = "os"\npath = "/usr/bin/openssl"\n[[install]]\nfrom = "os"\n'
    'path = "/usr/share/x"\nto = "/srv/"\nmode = "644"\nowner = "www-data"\n[[install]]\n'
    'context = "config/"\n'
    'to = "/etc/api"\nignore = ["*.bak"]\nowner = "0:0"\n',
    "files": HEAD + '[[file]]\npath = "/a"\n[[file]]\npath = "/b"\ncontent = "x {y"\nmode = "0640"\n'
    'owner = "root:nogroup"\n'
    '[[file]]\npath = "/c"\ntype = "directory"\nmode = "1777"\n[[file]]\npath = "/d"\ntype = "symlink"\n'
    'target = "../a"\n',
    "tests": HEAD + 'entrypoint = ["/a"]\nports = [80, "53/udp"]\n[[test]]\nhttp = { body = "ok" }\n'
    '[[test]]\nname = "all"\nrun = "true"\nstart = true\nexec = ["/b"]\nstdin = "x"\nstdout = "^a$"\n'
    'stderr = "b|c"\nexit_code = 3\nenv = { A = "b" }\nuser = "1:2"\nworkdir = "/w"\nwithin = "1m30s"\n'
    'writable = ["/v"]\n[test.http]\nport = 8443\npath = "/x?y=z"\nheaders = { Host = "a" }\ntls = true\n'
    'status = 404\nexpect_headers = { Server = "." }\n[test.tcp]\nport = 1\nsend = "a\\r\\n"\nexpect = "b"\n'
    '[[test.files]]\npath = "/ca"\ncontext = "ca.pem"\n[[test.files]]\npath = "/c"\ncontent = ""\n'
    'mode = "755"\n'
    '[[test]]\nwhen = { arch = "arm64" }\nstart = true\n',
    "accounts": HEAD + 'user = "api:adm"\n[users.api]\nuid = 10001\nhome = "/home/api"\nshell = "/bin/sh"\n'
    'comment = "The API"\n'
    'groups = ["adm"]\n[users.other]\nuid = 10002\ngid = 0\n[groups.adm]\ngid = 4\nmembers = ["other"]\n',
    "the runtime": HEAD + '[runtime]\nfeatures = ["certificates"]\nlibraries = ["libpq.so.5"]\n'
    'keep = ["/usr/share/zoneinfo/**"]\n'
    'drop = ["/usr/lib/python3*/test/**"]\nmissing = "warn"\n',
    "the whole configuration": HEAD
    + '[config]\nentrypoint = ["/a"]\ncmd = []\nuser = "65532:65532"\nworkdir = "/"\nvolumes = ["/data"]\n'
    'stop_signal = "SIGRTMIN+3"\n[config.env]\nwhen = "an ordinary variable here"\n[config.healthcheck]\n'
    'test = ["/a", "ok"]\ninterval = "1m30s"\ntimeout = "500ms"\nstart_period = "2h"\nretries = 3\n',
    "a health check for the shell": HEAD + 'config.healthcheck.test = "true"\n',
    "a scan policy": HEAD
    + '[scan]\nfail_on = "none"\nonly_fixed = true\nscanner = "builtin"\nunscannable = "warn"\n'
    'max_database_age = "any"\nignore = [{ id = "CVE-2024-1", package = "zlib1g", reason = "r", '
    "expires = 2026-12-31 }]\n",
    "packing": HEAD + '[layers]\nstrategy = "single"\ncompression = "zstd"\n[output]\nto = ["oci:out/x", '
    '"docker-archive:x.tar", "storage"]\n',
    "variables everywhere": HEAD
    + '[vars]\ncompression = "zstd"\nmode = "0600"\nport = "81"\n[layers]\ncompression = "{compression}"\n'
    '[[file]]\npath = "/{mode}"\nmode = "{mode}"\n[config]\nports = ["{port}"]\n',
    "conditions": HEAD
    + '[sources.os]\nwhen = { arch = ["amd64", "arm64"], os = "linux" }\n[[file]]\nwhen = { arch = '
    '"riscv64" }\n'
    'path = "/a"\n[config.env]\nwhen = { os = "linux" }\nA = "b"\n[users]\nwhen = { arch = "arm64" }\n',
    "keys that replace": HEAD + '"packages!" = ["a1"]\n[config]\n"env!" = { A = "b" }\n',
    "a profile": HEAD
    + '[profile.debug]\npackages = ["gdb"]\nconfig = { user = "root" }\n[profile.debug.runtime]\n'
    'missing = "warn"\n',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """``structural``: wrong by itself, so that a schema must refuse it."""

    text: str
    problems: tuple[str, ...]
    structural: bool = False


def _wrong(text: str, *problems: str) -> Wrong:
    return Wrong(text=HEAD + text, problems=problems)


def _misshapen(text: str, *problems: str) -> Wrong:
    return Wrong(text=HEAD + text, problems=problems, structural=True)


WRONG: Mapping[str, Wrong] = {
    "nothing at all": Wrong(
        text="",
        problems=(
            "schema: is missing; write schema = 1",
            "name: is missing; expected an image name without a tag",
        ),
        structural=True,
    ),
    "another schema": Wrong(
        text="schema = 2\nwhatever = 3\n",
        problems=("1: schema: expected 1, found 2; this rootlet reads schema 1 only",),
        structural=True,
    ),
    "true is not 1": Wrong(
        text='schema = true\nname = "x"\n',
        problems=("1: schema: expected 1, found true; this rootlet reads schema 1 only",),
        structural=True,
    ),
    "a misspelt key": _misshapen(
        'entrypont = ["/a"]\n', '3: entrypont: there is no such key; did you mean "entrypoint"?'
    ),
    "a key like no other": _misshapen(
        "[layers]\nzzz = 1\n", "4: layers.zzz: there is no such key; known here are strategy, compression"
    ),
    "a key that needs quotes": _misshapen(
        '"\\u001b[31m" = 1\n[users]\n"a b" = {}\n',
        '3: "\\u001b[31m": there is no such key; known here are schema, extends, name, tags, packages, '
        "suite, "
        "entrypoint, cmd, user, env, ports, vars, image, sources, install, file, users, groups, runtime, "
        "config, test, scan, policy, layers, output, registries, profile",
        '5: users."a b": expected the name of an account (letters, digits, ".", "_", "-"; not "when"), '
        'found "a b"',
        '5: users."a b".uid: is missing; expected an integer from 0 to 4294967294',
    ),
    "a string for an array": _misshapen(
        'entrypoint = "/a"\n', '3: entrypoint: expected an array, found "/a"; did you mean ["/a"]?'
    ),
    "wrong kinds of values": _misshapen(
        'packages = 3\nuser = 0\nenv = ["A=b"]\nports = [true, 8080.5, {}]\n[scan]\nonly_fixed = "no"\n'
        "ignore = [1]\n[users]\napi = 10001\n[users.b]\nuid = true\n",
        "3: packages: expected an array, found 3",
        '4: user: expected "user" or "user:group", names or numbers, found 0',
        "5: env: expected a table, found an array",
        '6: ports[0]: expected an integer from 1 to 65535 or a port from 1 to 65535, as 8080, "8080/tcp" or '
        '"53/udp", found true',
        '6: ports[1]: expected an integer from 1 to 65535 or a port from 1 to 65535, as 8080, "8080/tcp" or '
        '"53/udp", found 8080.5',
        '6: ports[2]: expected an integer from 1 to 65535 or a port from 1 to 65535, as 8080, "8080/tcp" or '
        '"53/udp", found a table',
        '8: scan.only_fixed: expected true or false, found "no"',
        "9: scan.ignore[0]: expected a table, found 1",
        "11: users.api: expected a table, found 10001",
        "13: users.b.uid: expected an integer from 0 to 4294967294, found true",
    ),
    "misshapen tests": _misshapen(
        "[[test]]\nrun = 1\nprot = 2\n[[test]]\nexit_code = 256\nhttp = { port = 0, status = 99 }\n"
        'files = ["a"]\n',
        "4: test[0].run: expected a string or an array, found 1",
        "5: test[0].prot: there is no such key; known here are name, run, start, http, tcp, exec, stdin, "
        "stdout, stderr, exit_code, env, user, workdir, within, files, writable",
        "7: test[1].exit_code: expected an integer from 0 to 255, found 256",
        "8: test[1].http.port: expected an integer from 1 to 65535, found 0",
        "8: test[1].http.status: expected an integer from 100 to 599, found 99",
        '9: test[1].files[0]: expected a table, found "a"',
    ),
    "tests that cannot be": _wrong(
        "[[test]]\n[[test]]\nrun = []\n[[test]]\nstart = false\nhttp = {}\n[[test]]\nrun = '(a'\n"
        "start = true\n"
        'exit_code = 1\n[[test]]\nrun = ["/a"]\nstdout = "("\nwithin = "0s"\n[[test]]\nrun = ["/a"]\n'
        'files = [{ path = "/a" }, { path = "/a", content = "", context = "b" }]\n[[test]]\nrun = ["/a"]\n'
        'within = "11m"\nhttp = { path = "a" }\n',
        "3: test[0]: runs nothing; expected run, start, http, tcp or exec",
        "5: test[1].run: expected a program, found an array",
        "6: test[2]: starts the image, which has neither entrypoint nor cmd; add run",
        "7: test[2].start: expected true, found false; http asks a service",
        "8: test[2].http.port: is missing; expected the port that is asked (the image has none)",
        "12: test[3].exit_code: goes with run or exec; a service is stopped, not waited for",
        '15: test[4].stdout: expected a regular expression, found "(": missing ), unterminated subpattern at '
        "position 0",
        '16: test[4].within: expected a time of at most 10m and above 0, found "0s"',
        "19: test[5].files[0]: says neither content nor context; expected one of them",
        "19: test[5].files[1]: says both content and context; expected one of them",
        '19: test[5].files[1].path: "/a" stands here twice',
        '22: test[6].within: expected a time of at most 10m and above 0, found "11m"',
        '23: test[6].http.path: expected a path such as "/healthz?full=1", found "a"',
    ),
    "what is not supported yet": _misshapen(
        '[runtime]\nfeatures = ["nss", "x"]\ndlopen = "no"\n[image]\nbase = "gcr.test/base"\n[[test]]\n'
        'run = ["/a"]\n'
        '[policy]\nshell = false\n[scan]\nscanner = "trivy"\nvex = []\n[layers]\nstrategy = "by-owner"\n'
        "budget = 8\n"
        '[output]\nto = ["registry"]\nsbom = ["spdx"]\nreport = "x.html"\n'
        "[sources.deps]\n",
        '4: runtime.features[1]: expected "certificates", "charsets", "fonts", "locales", "mime", "nss", '
        '"terminfo" or "timezones", found "x"',
        '5: runtime.dlopen: expected "suggested", "recommended", "required" or "none", found "no"; '
        'did you mean "none"?',
        '16: layers.strategy: "by-owner" is not supported yet; this version knows "single"',
        "17: layers.budget: is not supported yet",
        '19: output.to: the image cannot be pushed to a registry: the name "x" has none, '
        'as "registry.example.com/x"',
    ),
    "a key of another type of source": _misshapen(
        '[sources.here]\ntype = "host"\nsuite = "trixie"\n[sources.os]\nroot = "/x"\n',
        "5: sources.here.suite: there is no such key; known here are type, root",
        "7: sources.os.root: there is no such key; known here are type, suite, components, packages, mirror, "
        "security_mirror, security, snapshot, keyring, pin",
    ),
    "a type of source that nobody knows": _misshapen(
        '[sources.here]\ntype = "hots"\n',
        '4: sources.here.type: expected "debian", "host", "stage", "archive", "image", "git" or '
        '"python", found "hots"; did you mean "host"?',
    ),
    "a stage that starts from nothing, and keys that it cannot have": _misshapen(
        '[sources.a]\ntype = "stage"\nrun = ["", []]\nmemory = "2 gigs"\ntime = "0s"\ncpus = 0\n'
        'secrets = ["token=var:X"]\ncache = ["tmp"]\ncopy = [{ src = "." }]\n',
        '3: sources.a.from: is missing; expected the name of a source, an image or "scratch"',
        "5: sources.a.run[0]: expected a command, found an empty string",
        '6: sources.a.memory: expected an amount of memory such as "512MiB" or "2GB", found "2 gigs"',
        '7: sources.a.time: expected a time above 0 and of at most 168h, found "0s"',
        "8: sources.a.cpus: expected an integer from 1 to 4096, found 0",
        '9: sources.a.secrets[0]: expected a secret such as "token", "token=env:API_TOKEN" or '
        '"key=file:../key", found "token=var:X"',
        '10: sources.a.cache[0]: expected an absolute path, found "tmp"',
        "11: sources.a.copy[0].dest: is missing; expected an absolute path",
    ),
    "stages and the sources that they name": _wrong(
        '[sources.os]\n[sources.a]\ntype = "stage"\nfrom = "bb"\nrun = [[], [""]]\n'
        '[sources.b]\ntype = "stage"\nfrom = "scratch"\npackages = ["gcc"]\n'
        'copy = [{ from = "c", src = "/x", dest = "/" }, '
        '{ from = "os", src = "x", dest = "/", ignore = ["y"] }]\n'
        '[sources.c]\ntype = "stage"\nfrom = "b"\n',
        '6: sources.a.from: there is no source "bb"; did you mean "b"? '
        "(an image is written with its registry)",
        "7: sources.a.run[0]: expected a program and its arguments, found none",
        "7: sources.a.run[1]: expected a program and its arguments, found none",
        "8: sources.b: stages need each other in a circle: b → c → b",
        '11: sources.b.packages: goes with from = the name of a source of type = "debian"',
        '12: sources.b.copy[1].src: expected an absolute path, found "x"',
        "12: sources.b.copy[1].ignore: goes with files of this machine, not with from",
    ),
    "repositories that are nowhere, without a commit, or at no whole one": _wrong(
        f'[sources.a]\ntype = "git"\ncommit = "{"1" * 40}"\n[sources.b]\ntype = "git"\npath = "b"\n'
        '[sources.c]\ntype = "git"\nurl = "git@a.test:c"\ncommit = "main"\nref = "-x"\n',
        "3: sources.a: says neither url nor path; a repository is at one place",
        "6: sources.b.commit: is missing; expected the whole hash of a commit (40 or 64 lower-case hex "
        "digits)",
        '11: sources.c.url: expected an address such as "https://example.com/app.git", without a password, '
        'found "git@a.test:c"',
        "12: sources.c.commit: expected the whole hash of a commit (40 or 64 lower-case hex digits), "
        'found "main"',
        '13: sources.c.ref: expected the name of a tag or branch, found "-x"',
    ),
    "wheels that nobody asks for, or that are for nothing": _wrong(
        '[sources.a]\ntype = "python"\n[sources.b]\ntype = "python"\nrequirements = "r.txt"\n'
        'lock = "uv.lock"\npython = "3"\nlibc = "glibc"\nindex = "pypi"\n[[install]]\nfrom = "a"\n'
        '[[install]]\nfrom = "c"\n'
        '[sources.c]\ntype = "git"\npath = "."\n'
        f'commit = "{"1" * 40}"\n[sources.d]\ntype = "python"\nrequirements = "r.txt"\nlock = "uv.lock"\n',
        "3: sources.a: names none of requirements, lock, pyproject; one says which wheels are wanted",
        '9: sources.b.python: expected a version of Python such as "3.13", found "3"',
        '10: sources.b.libc: expected a C library such as "glibc-2.41" or "musl-1.2", found "glibc"',
        '11: sources.b.index: expected the address of an index such as "https://pypi.example/simple", found '
        '"pypi"',
        "14: install[1].path: is missing; expected an absolute path in the source",
        "23: sources.d.lock: is given beside requirements; one of them says which wheels are wanted",
    ),
    "archives that are nowhere, in two places, or not checked": _wrong(
        '[sources.a]\ntype = "archive"\n[sources.b]\ntype = "archive"\nurl = "https://a.test/b.zip"\n'
        f'path = "b.zip"\nsha256 = "{"0" * 64}"\n[sources.c]\ntype = "archive"\nurl = "https://a.test/c?d=1"\n'
        '[sources.d]\ntype = "archive"\nurl = "https://me:secret@a.test/d"\nsha256 = "0"\nstrip = -1\n',
        "3: sources.a: says neither url nor path; an archive is at one place",
        "5: sources.b: says both url and path; an archive is at one place",
        "10: sources.c.sha256: is missing; an archive that is fetched needs its checksum",
        '15: sources.d.url: expected an address such as "https://example.com/assets.tar.gz", without a '
        'password, found "https://me:secret@a.test/d"',
        '16: sources.d.sha256: expected a SHA-256 in 64 lower-case hex digits, found "0"',
        "17: sources.d.strip: expected an integer from 0 to 64, found -1",
    ),
    "a stage that starts from the whole machine": _wrong(
        '[sources.here]\ntype = "host"\n[sources.a]\ntype = "stage"\nfrom = "here"\n',
        "7: sources.a.from: the whole machine is no start for a stage; a host source with root is",
    ),
    "a word that is none of the choices": _misshapen(
        '[scan]\nfail_on = "hihg"\n[layers]\ncompression = "brotli"\n',
        '4: scan.fail_on: expected "unknown", "negligible", "low", "medium", "high", "critical" or "none", '
        'found "hihg"; did you mean "high"?',
        '6: layers.compression: expected "gzip", "zstd" or "none", found "brotli"',
    ),
    "both forms of one key": _wrong(
        'packages = ["a1"]\nuser = "a"\n[sources.os]\npackages = ["b1"]\n[config]\nuser = "b"\n',
        "3: packages: is the short form of sources.os.packages on line 6; keep one of the two",
        "4: user: is the short form of config.user on line 8; keep one of the two",
    ),
    "both forms, one of them replacing": _wrong(
        '"packages!" = ["a1"]\n[sources.os]\npackages = ["b1"]\n',
        "3: packages!: is the short form of sources.os.packages on line 5; keep one of the two",
    ),
    "a key with and without an exclamation mark": _wrong(
        'cmd = []\n"cmd!" = []\n', '4: cmd!: "cmd" is given too; keep one of the two'
    ),
    "package names": _wrong(
        'packages = ["redis=7", "Redis", "a", "", "x/y"]\n',
        '3: packages[0]: expected a package name without a version, found "redis=7"; exact versions go '
        "to the "
        "key pin",
        '3: packages[1]: package names are lower-case, found "Redis"; did you mean "redis"?',
        '3: packages[2]: expected the name of a Debian package, found "a"',
        '3: packages[3]: expected the name of a Debian package, found ""',
        '3: packages[4]: expected the name of a Debian package, found "x/y"',
    ),
    "tags twice and tags that are none": _misshapen(
        'tags = ["a", "b", "a"]\n[image]\nplatforms = ["linux/amd64", "linux/amd64"]\n',
        '3: tags[2]: "a" stands here twice',
        '5: image.platforms[1]: "linux/amd64" stands here twice',
    ),
    "a tag with a colon": _misshapen('tags = ["a:b"]\n', '3: tags[0]: expected a tag, found "a:b"'),
    "platforms": _wrong(
        '[image]\nplatforms = ["amd64", "windows/amd64", "linux/x86_64", "linux/amd46", "linux/vax"]\n',
        '4: image.platforms[0]: expected a platform such as "linux/amd64", found "amd64"',
        '4: image.platforms[1]: expected a platform that starts with "linux/", found "windows/amd64"',
        '4: image.platforms[2]: there is no architecture "x86_64"; did you mean "amd64"?',
        '4: image.platforms[3]: there is no architecture "amd46"; did you mean "amd64"?',
        '4: image.platforms[4]: there is no architecture "vax"; known are 386, amd64, arm, arm64, loong64, '
        "mips64le, ppc64le, riscv64, s390x",
    ),
    "addresses, moments and versions": _wrong(
        '[sources.os]\nmirror = "ftp://mirror.test"\nsecurity_mirror = "http://me:secret@mirror.test/"\n'
        'snapshot = "20261301T000000Z"\nsuite = "../x"\npin = { A = "1", ab = "1 2" }\n',
        '4: sources.os.mirror: expected an address such as "http://mirror.example/debian", without a '
        "password, "
        'found "ftp://mirror.test"',
        '5: sources.os.security_mirror: expected an address such as "http://mirror.example/debian", '
        "without a "
        'password, found "http://me:secret@mirror.test/"',
        '6: sources.os.snapshot: expected a moment such as "20261101T000000Z", found "20261301T000000Z"',
        '7: sources.os.suite: expected the name of a suite, found "../x"',
        '8: sources.os.pin.A: expected the name of a Debian package, found "A"',
        '8: sources.os.pin.ab: expected a Debian version, found "1 2"',
    ),
    "paths": _wrong(
        'file = [\n{ path = "a" },\n{ path = "/a/../b" },\n{ path = "/a//b" },\n{ path = "/a/" },\n'
        '{ path = "/a\\u0000b" },\n{ path = "/" },\n{ path = "/a\\nb" },\n{ path = "//a" },\n'
        '{ path = "" }\n]\n',
        '4: file[0].path: expected an absolute path, found "a"',
        '5: file[1].path: expected a path without ".", ".." and doubled slashes, found "/a/../b"',
        '6: file[2].path: expected a path without ".", ".." and doubled slashes, found "/a//b"',
        '7: file[3].path: expected a path without a slash at its end, found "/a/"',
        '8: file[4].path: expected text without control characters, found "/a\\u0000b"',
        "9: file[5].path: expected a path below /, found the root",
        '10: file[6].path: expected text without control characters, found "/a\\nb"',
        '11: file[7].path: expected a path without ".", ".." and doubled slashes, found "//a"',
        '12: file[8].path: expected an absolute path, found ""',
    ),
    "files that contradict themselves": _wrong(
        '[[file]]\npath = "/a"\ntarget = "b"\n[[file]]\npath = "/b"\ntype = "symlink"\nmode = "0644"\n'
        '[[file]]\npath = "/c"\ntype = "directory"\ncontent = "x"\n[[file]]\npath = "/a"\n',
        "5: file[0].target: a file has none",
        "6: file[1].target: is missing; expected the path that the link leads to",
        "9: file[1].mode: a symbolic link has none",
        "13: file[2].content: a folder has none",
        '15: file[3].path: "/a" is made twice, first by file[0].path',
    ),
    "a file without a path": _misshapen(
        '[[file]]\ncontent = "x"\n', "3: file[0].path: is missing; expected an absolute path"
    ),
    "modes and owners": _wrong(
        '[sources.os]\n[[file]]\npath = "/a"\nmode = "0999"\nowner = "a:b:c"\n[[file]]\npath = "/b"\n'
        'mode = "64"\n'
        'owner = "9999999999"\n',
        '6: file[0].mode: expected a file mode such as "0644", found "0999"',
        '7: file[0].owner: expected "user" or "user:group", names or numbers, found "a:b:c"',
        '10: file[1].mode: expected a file mode such as "0644", found "64"',
        '11: file[1].owner: expected numbers up to 4294967294, found "9999999999"',
    ),
    "a mode as a number": _misshapen(
        '[[file]]\npath = "/a"\nmode = 0o644\n',
        '5: file[0].mode: expected a file mode such as "0644", found 420',
    ),
    "installs that contradict themselves": _wrong(
        '[sources.build-tools]\n[[install]]\nto = "/a"\n[[install]]\nfrom = "build-tool"\npath = "/a"\n'
        "[[install]]\n"
        'from = "build-tools"\n[[install]]\ncontext = "a"\npath = "/a"\n[[install]]\ncontext = "a"\n'
        'from = "build-tools"\nto = "/a"\n',
        "4: install[0]: says neither from nor context; files come from a source or from this machine",
        '7: install[1].from: there is no source "build-tool"; did you mean "build-tools"?',
        "9: install[2].path: is missing; expected an absolute path in the source",
        "11: install[3].to: is missing; expected an absolute path in the image",
        "13: install[3].path: goes with from, not with context",
        "14: install[4]: says both from and context; files come from a source or from this machine",
    ),
    "an install from nowhere": _wrong(
        '[[install]]\nfrom = "os"\npath = "/a"\n',
        '4: install[0].from: there is no source "os"; the recipe has no source',
    ),
    "numbers of accounts twice": _wrong(
        "[users.a]\nuid = 5\n[users.b]\nuid = 5\n[users.c]\nuid = 6\n[groups.g]\ngid = 6\n[users.root]\n"
        "uid = 7\n"
        "gid = 0\n",
        "6: users.b.uid: 5 is used twice, first by users.a.uid",
        "6: users.b.uid: 5 is the number of a group twice, first by users.a.uid",
        "8: users.c.uid: 6 is the number of a group twice, first by groups.g.gid",
        "12: users.root.uid: root is always 0, found 7",
    ),
    "accounts beyond the last number": _misshapen(
        "[users.a]\nuid = 4294967295\n[groups.b]\ngid = -1\n",
        "4: users.a.uid: expected an integer from 0 to 4294967294, found 4294967295",
        "6: groups.b.gid: expected an integer from 0 to 4294967294, found -1",
    ),
    "an account that nothing brings": _wrong(
        'user = "ap"\n[users.api]\nuid = 5\n[[file]]\npath = "/a"\nowner = "root:wheel"\n',
        '3: user: nothing gives the image the account "ap"; did you mean "api"?',
        '8: file[0].owner: nothing gives the image the account "wheel"; add [groups.wheel]',
    ),
    "the passwd file's colon": _wrong(
        '[users.a]\nuid = 5\nhome = "/a:b"\ncomment = "x:y"\n',
        '5: users.a.home: expected a path without ":", found "/a:b"',
        '6: users.a.comment: expected text without ":", found "x:y"',
    ),
    "ports": _wrong(
        'ports = [8080, "8080/tcp", 0, "65536", "53/icmp"]\n',
        "3: ports[2]: expected an integer from 1 to 65535, found 0",
        '3: ports[3]: expected a port from 1 to 65535, as 8080, "8080/tcp" or "53/udp", found "65536"',
        '3: ports[4]: expected a port from 1 to 65535, as 8080, "8080/tcp" or "53/udp", found "53/icmp"',
        '3: ports[1]: "8080/tcp" is exposed twice, first by ports[0]',
    ),
    "the configuration's strings": _wrong(
        'entrypoint = [""]\ncmd = ["a\\u0000"]\nenv = { "A=B" = "c" }\n[config]\nstop_signal = "SIGTREM"\n'
        'workdir = "a"\nvolumes = ["/a", "/a"]\nhealthcheck = { interval = "5 s" }\n',
        '3: entrypoint: expected a program, found ""',
        '4: cmd[0]: expected text without NUL characters, found "a\\u0000"',
        '5: env."A=B": expected the name of a variable, found "A=B"',
        '7: config.stop_signal: expected a signal such as "SIGTERM", found "SIGTREM"; did you mean '
        '"SIGTERM"?',
        '8: config.workdir: expected an absolute path, found "a"',
        '9: config.volumes[1]: "/a" stands here twice',
        '10: config.healthcheck.interval: expected a time such as "30s" or "1m30s", found "5 s"',
        "10: config.healthcheck.test: is missing; expected the program that is run",
    ),
    "an ignored finding without a reason": _misshapen(
        'scan.ignore = [{ id = "CVE-1", expires = 2026-12-31T00:00:00Z }]\n',
        "3: scan.ignore[0].expires: expected a date such as 2026-12-31, found 2026-12-31 00:00:00+00:00",
        "3: scan.ignore[0].reason: is missing; expected a string",
    ),
    "ages and outputs": _wrong(
        '[scan]\nmax_database_age = "a week"\n[output]\nto = ["docker:x", "oci:", "storage", "storage"]\n',
        '4: scan.max_database_age: expected an age such as "7d" or "12h", or "any", found "a week"',
        '6: output.to[0]: expected "oci:FOLDER", "docker-archive:FILE", "storage" or "registry", '
        'found "docker:x"',
        '6: output.to[1]: expected "oci:FOLDER", "docker-archive:FILE", "storage" or "registry", '
        'found "oci:"',
        '6: output.to[3]: "storage" stands here twice',
    ),
    "conditions that are none": _misshapen(
        'when = { arch = "amd64" }\n[runtime]\nwhen = { arch = "aarch64", oss = "linux" }\n[config]\n'
        "when = {}\n"
        '[layers]\nwhen = "amd64"\n[users.when]\nuid = 5\n',
        "3: when: there is no such key; known here are schema, extends, name, tags, packages, suite, "
        "entrypoint, cmd, user, env, ports, vars, image, sources, install, file, users, groups, runtime, "
        "config, test, scan, policy, layers, output, registries, profile",
        '5: runtime.when.arch: there is no architecture "aarch64"; did you mean "arm64"?',
        '5: runtime.when.oss: there is no such key; did you mean "os"?',
        "7: config.when: expected arch, os or both, found an empty table",
        '9: layers.when: expected a table, found "amd64"',
        "11: users.when.uid: there is no such key; known here are arch, os",
    ),
    "a condition cannot replace another": _misshapen(
        '[users]\n"when!" = { arch = "arm64" }\n[config]\n"when!" = { arch = "arm64" }\n',
        '4: users.when!: expected the name of an account (letters, digits, ".", "_", "-"; not "when"), '
        'found "when"',
        "4: users.when!.arch: there is no such key; known here are uid, gid, home, shell, comment, groups",
        "6: config.when!: there is no such key; known here are entrypoint, cmd, user, workdir, env, ports, "
        "volumes, stop_signal, healthcheck",
    ),
    "a name that depends on the platform": _wrong(
        '[image]\nwhen = { arch = "amd64" }\ntags = ["a"]\n[profile.p]\nwhen = { arch = "amd64" }\n'
        'name = "y"\n',
        "5: image.tags: is the same for all platforms; its table cannot have when",
        "8: profile.p.name: is the same for all platforms; its table cannot have when",
    ),
    "unknown variables": _wrong(
        'tags = ["{vrsion}", "{x.y}"]\n[vars]\nversion = "1"\nown = "{own}"\n',
        '3: tags[0]: there is no variable "vrsion"; did you mean "version"? (the text itself is written '
        "{{vrsion}})",
        '3: tags[1]: there is no variable "x.y"; add it to [vars] (the text itself is written {{x.y}})',
        "6: vars.own: the variables refer to each other in a circle: own → own",
    ),
    "TOML without quotes around the exclamation mark": _misshapen(
        "packages! = []\n", '3: not TOML: a key that ends in "!" needs quotes; write "packages!"'
    ),
    "TOML that breaks off": _misshapen('[users."a\n', "3: not TOML: Illegal character '\\n' (column 10)"),
    "TOML that says a key twice": _misshapen(
        'name = "y"\n', "3: not TOML: Cannot overwrite a value (column 11)"
    ),
    "a number that no machine prints": _misshapen(
        f"[layers]\nbudget = 1{'0' * 5000}\n",
        "not TOML: a number has too many digits",
    ),
    "a huge number in hexadecimal": _wrong(
        f"[users.a]\nuid = 0x{'f' * 9000}\n",
        "4: users.a.uid: expected an integer from 0 to 4294967294, found a number beyond 64 bits",
    ),
}
