from __future__ import annotations

import pytest

from builder.inventory.collect import take_inventory
from builder.inventory.model import Inventory
from tests.support.inventory import OS_RELEASE, tree
from tests.support.lock_texts import (
    BERRY,
    CARGO,
    COMPOSER,
    GEMS,
    GO_MOD,
    GO_SUM,
    GRADLE,
    NPM,
    NPM_1,
    NUGET,
    PDM,
    PIPFILE,
    PNPM_5,
    PNPM_6,
    PNPM_9,
    POETRY,
    POM,
    PYLOCK,
    REQUIREMENTS,
    UV,
    YARN,
)

Listed = list[tuple[str, str, str, bool]]


def inventory(files: dict[str, str | bytes], *, development: bool = True) -> Inventory:
    return take_inventory(tree(files), development=development)


def listed(found: Inventory) -> Listed:
    return [(one.kind.value, one.name, one.version, one.development) for one in found.components]


def expect(path: str, text: str, kind: str, *packages: str) -> object:
    """A case; packages are "name version", with a "dev" behind those for development."""
    rows = [one.split(" ") for one in packages]
    return pytest.param(path, text, [(kind, row[0], row[1], len(row) > 2) for row in rows], id=path)


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


def test_a_name_that_is_no_text_is_no_package() -> None:
    assert listed(inventory({"/yarn.lock": b'"a\xa6b@^1.0.0":\n  version "1.0.0"\n'})) == []
