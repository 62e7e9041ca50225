"""Lock files of every kind, short, in the form that their tools write."""

from __future__ import annotations

import json

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
source = { registry = "https://index.test/simple" }
dependencies = [
    { name = "click", marker = "sys_platform == 'win32'" },
]

[[package]]
name = "click"
version = "8.1.7"
source = { registry = "https://index.test/simple" }

[[package]]
name = "pytest"
version = "8.0.0"
source = { registry = "https://index.test/simple" }
dependencies = [
    { name = "click" },
    { name = "pluggy" },
]

[[package]]
name = "pluggy"
version = "1.5.0"
source = { registry = "https://index.test/simple" }
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
        "lockfileVersion": 1,
        "dependencies": {
            "ms": {"version": "2.0.0", "dependencies": {"b": {"version": "1.0.0", "dev": True}}},
            "alias": {"version": "npm:real@3.0.0"},
            "f": {"version": "file:../f"},
        },
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
