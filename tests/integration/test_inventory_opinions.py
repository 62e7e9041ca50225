"""rootlet's inventory beside those of syft and trivy, on real packages of every ecosystem.

Each difference has a reason in inventory_explained.toml; a reason without a difference is an error too.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.inventory.collect import take_inventory
from builder.inventory.files import walk_root
from builder.inventory.model import Inventory
from tests.support import lock_texts, roots
from tests.support.opinions import unpack_trivy_cache
from tests.support.opinions_all import Explanations, listed_by_rootlet, listed_by_syft, listed_by_trivy
from tests.support.tools import full_run, need

pytestmark = [pytest.mark.tools]

EXPLAINED = Explanations.read(Path(__file__).with_name("inventory_explained.toml"))


@pytest.fixture(scope="module")
def trivy_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack_trivy_cache(tmp_path_factory.mktemp("trivy"))


def agree(case: str, root: Path, cache: Path) -> Inventory:
    """Hold the three lists against each other."""
    found = take_inventory(walk_root(root))
    ours = listed_by_rootlet(found)
    assert ours
    assert found.notes == ()
    EXPLAINED.check(case, "syft", ours, listed_by_syft(root))
    EXPLAINED.check(case, "trivy", ours, listed_by_trivy(root, cache))
    return found


@pytest.mark.network
@pytest.mark.parametrize(
    ("case", "make"),
    [
        ("python", roots.python_root),
        ("node", roots.node_root),
        ("java", lambda folder: roots.debian_files(folder, roots.JARS)),
        ("ruby", lambda folder: roots.debian_files(folder, roots.GEMS)),
    ],
)
def test_real_packages_of_languages(
    case: str, make: Callable[[Path], Path], trivy_cache: Path, tmp_path: Path
) -> None:
    agree(case, make(tmp_path / "root"), trivy_cache)


def test_programs_that_say_what_they_are(trivy_cache: Path, tmp_path: Path) -> None:
    found = agree("programs", roots.programs_root(tmp_path / "root"), trivy_cache)
    assert len(found.components) > 400
    assert found.unowned_elf == ()


def test_packages_of_php_and_dotnet(trivy_cache: Path, tmp_path: Path) -> None:
    agree("others", roots.other_languages_root(tmp_path / "root"), trivy_cache)


def test_rpm_databases(trivy_cache: Path, tmp_path: Path) -> None:
    made = roots.rpm_roots(tmp_path)
    for name, root in made.items():
        found = agree(f"rpm-{name}", root, trivy_cache)
        assert [one.version for one in found.components] == ["5.1.8-6.el9", "1:3.0.7-24.el9"]
    assert next(one.files for one in take_inventory(walk_root(made["sqlite"])).components) == 300


def test_a_list_of_rpm_packages(trivy_cache: Path, tmp_path: Path) -> None:
    root = roots.write(tmp_path / "root", roots.AZURE)
    agree("azure", root, trivy_cache)


def test_an_alpine_database(trivy_cache: Path, tmp_path: Path) -> None:
    agree("alpine", roots.alpine_root(tmp_path / "root"), trivy_cache)


LOCKS = {
    "requirements/requirements.txt": lock_texts.REQUIREMENTS,
    "poetry/poetry.lock": lock_texts.POETRY,
    "uv/uv.lock": lock_texts.UV,
    "pipfile/Pipfile.lock": lock_texts.PIPFILE,
    "package-lock/package-lock.json": lock_texts.NPM,
    "old/package-lock.json": lock_texts.NPM_1,
    "yarn/yarn.lock": lock_texts.YARN,
    "berry/yarn.lock": lock_texts.BERRY,
    "9/pnpm-lock.yaml": lock_texts.PNPM_9,
    "6/pnpm-lock.yaml": lock_texts.PNPM_6,
    "cargo/Cargo.lock": lock_texts.CARGO,
    "go/go.mod": lock_texts.GO_MOD,
    "pom/pom.xml": lock_texts.POM,
    "gradle/gradle.lockfile": lock_texts.GRADLE,
    "gemfile/Gemfile.lock": lock_texts.GEMS,
    "composer/composer.lock": lock_texts.COMPOSER,
    "packages/packages.lock.json": lock_texts.NUGET,
}


def test_lock_files(trivy_cache: Path, tmp_path: Path) -> None:
    """One folder with all of them; each package is compared together with the file that names it."""
    folder = roots.write(tmp_path / "app", LOCKS)
    ours = listed_by_rootlet(take_inventory(walk_root(folder), development=True), places=True)
    EXPLAINED.check("locks", "syft", ours, listed_by_syft(folder, locks=True))
    EXPLAINED.check("locks", "trivy", ours, listed_by_trivy(folder, trivy_cache, locks=True))


def whole_system(release: str, root: Path) -> Path:
    """A system as Debian's installer leaves it."""
    need("mmdebstrap")
    root.mkdir()
    words = ["mmdebstrap", "--variant=minbase", "--quiet", release, "-"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as made:
        subprocess.run(
            ["tar", "-xf", "-", "-C", str(root), "--exclude=./dev/*"], stdin=made.stdout, check=True
        )
    assert made.returncode == 0
    return root


if (
    full_run()
):  # Debian 13 is in test_scanner_opinions.py; these take minutes, and nobody changes them any more

    @pytest.mark.network
    @pytest.mark.parametrize("release", ["bullseye", "bookworm"])
    def test_whole_systems(release: str, trivy_cache: Path, tmp_path: Path) -> None:
        found = agree(f"system:{release}", whole_system(release, tmp_path / "root"), trivy_cache)
        assert found.unowned_elf == ()
