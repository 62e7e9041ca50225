from __future__ import annotations

import json

import pytest

from builder.inventory.collect import take_inventory
from builder.inventory.model import Inventory
from tests.support.inventory import OS_RELEASE, tree

Listed = list[tuple[str, str, str, bool]]


def inventory(files: dict[str, str | bytes], *, development: bool = True) -> Inventory:
    return take_inventory(tree(files), development=development)


def listed(found: Inventory) -> Listed:
    return [(one.kind.value, one.name, one.version, one.development) for one in found.components]


def expect(path: str, text: str, kind: str, *packages: str) -> object:
    """A case; packages are "name version", with a "dev" behind those for development."""
    rows = [one.split(" ") for one in packages]
    return pytest.param(path, text, [(kind, row[0], row[1], len(row) > 2) for row in rows], id=path)


REQUIREMENTS = """# by pip-compile
flask==3.0.0 \\
    --hash=sha256:abc
Jinja2 [i18n]==3.1.2 ; python_version > "3"   # via flask
unpinned>=1.0
-r other.txt
-e .
git+https://x/y@1#egg=z
click === 8.1
"""
POETRY = """# poetry
[[package]]
name = "flask"
version = "3.0.0"
optional = false
groups = ["main", "dev"]
files = [
    {file = "a", hash = "b"},
]

[package.dependencies]
click = ">=8"

[[package]]
name = "pytest"
version = "8.0.0"
groups = ["dev"]

[[package]]
name = "old"
version = "1.0"
category = "dev"

[[package]]
name = "own"
version = "0.1"
groups = ["main"]

[package.source]
type = "directory"
url = "lib"

[metadata]
lock-version = "2.1"
"""
UV = """version = 1

[[package]]
name = "app"
version = "0.1.0"
source = { editable = "." }
dependencies = [
    { name = "flask" },
]

[package.dev-dependencies]
dev = [
    { name = "pytest" },
]

[[package]]
name = "flask"
version = "3.0.0"
source = { registry = "https://pypi.org/simple" }
dependencies = [
    { name = "click", marker = "sys_platform == 'win32'" },
]

[[package]]
name = "click"
version = "8.1.7"
source = { registry = "https://pypi.org/simple" }

[[package]]
name = "pytest"
version = "8.0.0"
source = { registry = "https://pypi.org/simple" }
dependencies = [
    { name = "click" },
    { name = "pluggy" },
]

[[package]]
name = "pluggy"
version = "1.5.0"
source = { registry = "https://pypi.org/simple" }
"""
PDM = """[[package]]
name = "flask"
version = "3.0.0"
groups = ["default"]

[[package]]
name = "pytest"
version = "8.0.0"
groups = ["dev"]
"""
PYLOCK = """lock-version = "1.0"
[[packages]]
name = "flask"
version = "3.0.0"
[[packages.wheels]]
name = "flask-3.0.0-py3-none-any.whl"
[[packages]]
name = "pytest"
version = "8.0.0"
marker = "'dev' in dependency_groups"
"""
PIPFILE = json.dumps(
    {
        "default": {"flask": {"version": "==3.0.0"}},
        "develop": {"pytest": {"version": "==8.0.0"}, "x": {"path": "."}},
    }
)
NPM = json.dumps(
    {
        "lockfileVersion": 3,
        "packages": {
            "": {"name": "app", "version": "1.0.0"},
            "node_modules/ms": {"version": "2.0.0"},
            "node_modules/a/node_modules/@b/c": {"version": "1.0.0", "dev": True},
            "node_modules/alias": {"name": "real", "version": "3.0.0"},
            "node_modules/own": {"link": True},
            "node_modules/git": {"version": "git+ssh://x"},
        },
    }
)
NPM_1 = json.dumps(
    {
        "dependencies": {
            "ms": {"version": "2.0.0", "dependencies": {"b": {"version": "1.0.0", "dev": True}}},
            "alias": {"version": "npm:real@3.0.0"},
            "f": {"version": "file:../f"},
        }
    }
)
YARN = """# yarn lockfile v1


"@babel/core@^7.0.0", "@babel/core@^7.1.0":
  version "7.1.0"
  resolved "https://registry/x"
  dependencies:
    ms "^2.0.0"

alias@npm:real@^3.0.0:
  version "3.0.0"

ms@^2.0.0:
  version "2.0.0"
"""
BERRY = """__metadata:
  version: 6

"@babel/core@npm:^7.0.0":
  version: 7.1.0
  resolution: "@babel/core@npm:7.1.0"
  dependencies:
    ms: ^2.0.0
  linkType: hard

"app@workspace:.":
  version: 0.0.0-use.local
  resolution: "app@workspace:."
  linkType: soft
"""
PNPM_9 = """lockfileVersion: '9.0'

importers:

  .:
    dependencies:
      ms:
        specifier: ^2.0.0
        version: 2.0.0
    devDependencies:
      '@b/c':
        specifier: ^1.0.0
        version: 1.0.0(ms@2.0.0)

packages:

  '@b/c@1.0.0':
    resolution: {integrity: sha512-x}
    engines: {node: '>=6'}

  d@1.5.0:
    resolution: {integrity: sha512-x}

  ms@2.0.0:
    resolution: {integrity: sha512-x}

snapshots:

  '@b/c@1.0.0(ms@2.0.0)':
    dependencies:
      d: 1.5.0
      ms: 2.0.0

  d@1.5.0: {}

  ms@2.0.0: {}
"""
PNPM_6 = """lockfileVersion: '6.0'

packages:

  /@b/c@1.0.0(ms@2.0.0):
    resolution: {integrity: sha512-x}
    dev: true

  /ms@2.0.0:
    resolution: {integrity: sha512-x}
    dev: false
"""
PNPM_5 = """lockfileVersion: 5.4

packages:

  /@b/c/1.0.0_ms@2.0.0:
    resolution: {integrity: sha512-x}
    dev: true

  /ms/2.0.0:
    resolution: {integrity: sha512-x}
    dev: false
"""
CARGO = """version = 4

[[package]]
name = "app"
version = "0.1.0"
dependencies = [
 "serde",
]

[[package]]
name = "serde"
version = "1.0.200"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "x"
"""
GO_MOD = """module example.com/app

go 1.21

require golang.org/x/text v0.3.7 // indirect

require (
\tgithub.com/a/b v1.0.0
\tgithub.com/c/d v2.0.0+incompatible
\tgithub.com/e/f v1.0.0
)

replace github.com/a/b => github.com/z/b v1.5.0

replace (
\tgithub.com/e/f v1.0.0 => ../f
)
"""
GO_SUM = "github.com/a/b v1.0.0 h1:x=\ngithub.com/a/b v0.9.0/go.mod h1:y=\n"
POM = """<?xml version="1.0"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <groupId>g</groupId><artifactId>app</artifactId><version>1.0</version>
  <properties><spring.version>5.3.1</spring.version></properties>
  <dependencyManagement><dependencies>
    <dependency><groupId>m</groupId><artifactId>managed</artifactId><version>4.0</version></dependency>
  </dependencies></dependencyManagement>
  <dependencies>
    <dependency><groupId>s</groupId><artifactId>core</artifactId><version>${spring.version}</version></dependency>
    <dependency><groupId>m</groupId><artifactId>managed</artifactId></dependency>
    <dependency><groupId>${project.groupId}</groupId><artifactId>x</artifactId><version>[2.0]</version></dependency>
    <dependency><groupId>u</groupId><artifactId>unknown</artifactId></dependency>
    <dependency><groupId>j</groupId><artifactId>j</artifactId><version>4</version><scope>test</scope></dependency>
  </dependencies>
</project>
"""
GRADLE = "# comment\na.b:c:1.0=compileClasspath,testCompileClasspath\nj:j:4.13=testRuntimeClasspath\nempty=\n"
GEMS = """GEM
  remote: https://rubygems.org/
  specs:
    nokogiri (1.15.0-x86_64-linux)
      racc (~> 1.4)
    rake (13.0.6)

PLATFORMS
  ruby

DEPENDENCIES
  rake (~> 13)
"""
COMPOSER = json.dumps(
    {"packages": [{"name": "a/b", "version": "v1.0"}], "packages-dev": [{"name": "c/d", "version": "2.0"}]}
)
NUGET = json.dumps(
    {
        "version": 1,
        "dependencies": {"net8.0": {"N": {"type": "Direct", "resolved": "1.0.0"}, "P": {"type": "Project"}}},
    }
)


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        expect("/requirements.txt", REQUIREMENTS, "pypi", "Jinja2 3.1.2", "click 8.1", "flask 3.0.0"),
        expect("/dev-requirements.txt", "a==1\n", "pypi", "a 1 dev"),
        expect("/poetry.lock", POETRY, "pypi", "flask 3.0.0", "old 1.0 dev", "pytest 8.0.0 dev"),
        expect("/uv.lock", UV, "pypi", "click 8.1.7", "flask 3.0.0", "pluggy 1.5.0 dev", "pytest 8.0.0 dev"),
        expect("/pdm.lock", PDM, "pypi", "flask 3.0.0", "pytest 8.0.0 dev"),
        expect("/pylock.toml", PYLOCK, "pypi", "flask 3.0.0", "pytest 8.0.0 dev"),
        expect("/pylock.web.toml", PYLOCK, "pypi", "flask 3.0.0", "pytest 8.0.0 dev"),
        expect("/Pipfile.lock", PIPFILE, "pypi", "flask 3.0.0", "pytest 8.0.0 dev"),
        expect("/package-lock.json", NPM, "npm", "@b/c 1.0.0 dev", "ms 2.0.0", "real 3.0.0"),
        expect("/old/package-lock.json", NPM_1, "npm", "b 1.0.0 dev", "ms 2.0.0", "real 3.0.0"),
        expect("/yarn.lock", YARN, "npm", "@babel/core 7.1.0", "ms 2.0.0", "real 3.0.0"),
        expect("/berry/yarn.lock", BERRY, "npm", "@babel/core 7.1.0"),
        expect("/9/pnpm-lock.yaml", PNPM_9, "npm", "@b/c 1.0.0 dev", "d 1.5.0 dev", "ms 2.0.0"),
        expect("/6/pnpm-lock.yaml", PNPM_6, "npm", "@b/c 1.0.0 dev", "ms 2.0.0"),
        expect("/5/pnpm-lock.yaml", PNPM_5, "npm", "@b/c 1.0.0 dev", "ms 2.0.0"),
        expect("/Cargo.lock", CARGO, "cargo", "serde 1.0.200"),
        expect(
            "/go.mod",
            GO_MOD,
            "golang",
            "github.com/c/d 2.0.0+incompatible",
            "github.com/z/b 1.5.0",
            "golang.org/x/text 0.3.7",
        ),
        expect("/go.sum", GO_SUM, "golang", "github.com/a/b 1.0.0"),
        expect("/pom.xml", POM, "maven", "g:x 2.0", "j:j 4 dev", "m:managed 4.0", "s:core 5.3.1"),
        expect("/gradle.lockfile", GRADLE, "maven", "a.b:c 1.0", "j:j 4.13 dev"),
        expect("/Gemfile.lock", GEMS, "gem", "nokogiri 1.15.0", "rake 13.0.6"),
        expect("/composer.lock", COMPOSER, "composer", "a/b v1.0", "c/d 2.0 dev"),
        expect("/packages.lock.json", NUGET, "nuget", "N 1.0.0"),
    ],
)
def test_lock_files(path: str, text: str, expected: Listed) -> None:
    found = inventory({path: text})
    assert listed(found) == expected
    assert found.notes == ()
    assert all(one.evidence == (path,) for one in found.components)


def test_go_sum_is_superfluous_beside_a_complete_go_mod() -> None:
    found = inventory({"/go.sum": "a.b/x v1.0.0 h1:x=\n", "/go.mod": "module m\ngo 1.17\n"})
    assert listed(found) == []
    found = inventory({"/go.sum": "a.b/x v1.0.0 h1:x=\n", "/go.mod": "module m\ngo 1.16\n"})
    assert [one.name for one in found.components] == ["a.b/x"]


@pytest.mark.parametrize(
    ("files", "development"),
    [
        pytest.param({}, False, id="in an image"),
        pytest.param({"/etc/os-release": OS_RELEASE}, True, id="in a root folder"),
    ],
)
def test_lock_files_say_nothing_of_what_is_installed(
    files: dict[str, str | bytes], *, development: bool
) -> None:
    assert listed(inventory({"/srv/app/Cargo.lock": CARGO, **files}, development=development)) == []


def test_lock_files_of_installed_packages_are_their_authors_own() -> None:
    assert (
        listed(inventory({"/node_modules/a/yarn.lock": YARN, "/v/site-packages/a/poetry.lock": POETRY})) == []
    )


@pytest.mark.parametrize(
    ("path", "text", "reason"),
    [
        pytest.param("/package-lock.json", "[" * 100_000, "nested too deeply", id="deep JSON"),
        pytest.param(
            "/pom.xml", '<!DOCTYPE x [<!ENTITY a "b">]><project/>', "no sound XML", id="XML with entities"
        ),
        pytest.param("/pom.xml", "<project>", "no sound XML", id="XML that is cut off"),
        pytest.param("/poetry.lock", " " * (17 << 20), "larger than 16 MB", id="a file of absurd size"),
    ],
)
def test_damaged_lock_files_are_noted(path: str, text: str, reason: str) -> None:
    (note,) = inventory({path: text}).notes
    assert note.startswith(f"{path}: ")
    assert reason in note


@pytest.mark.parametrize(
    "path",
    [
        "/requirements.txt",
        "/poetry.lock",
        "/uv.lock",
        "/yarn.lock",
        "/pnpm-lock.yaml",
        "/Cargo.lock",
        "/go.mod",
        "/go.sum",
        "/gradle.lockfile",
        "/Gemfile.lock",
    ],
)
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a" + " " * 200_000, id="blanks"),
        pytest.param("\n" * 200_000, id="empty lines"),
        pytest.param("[[package]]\n" * 10_000, id="many tables"),
        pytest.param("[[package]]\nname = " + "[" * 100_000, id="brackets"),
        pytest.param('[[package]]\nname = "' + "\\" * 100_000, id="backslashes"),
        pytest.param("a.b." * 50_000 + "= 1", id="dotted keys"),
        pytest.param("(a:b" * 40_000, id="parentheses and colons"),
        pytest.param("    a (" * 20_000, id="gems"),
    ],
)
def test_hostile_lock_files_do_not_take_long(path: str, text: str) -> None:
    inventory({path: text})
