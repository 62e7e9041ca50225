"""``rootlet why`` and ``why-not`` about the redis recipe and its image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.tools import REPOSITORY, rootlet

pytestmark = pytest.mark.network

RECIPE = REPOSITORY / "recipes/redis.toml"
LIBC = "/usr/lib/x86_64-linux-gnu/libc.so.6"
SERVER = "/usr/bin/redis-server"


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the redis image in dist/redis, and data about vulnerabilities."""
    folder = tmp_path_factory.mktemp("why")
    rootlet("database", "--database", "db", "import", REPOSITORY / "tests/data/osv", cwd=folder)
    words = ("--database", "db", "--max-database-age", "any", "--platform", "linux/amd64")
    rootlet("build", RECIPE, "--to", "oci:dist/redis", *words, cwd=folder)
    return folder


def why(workshop: Path, subject: str | Path, *words: str) -> dict[str, Any]:
    done = rootlet("why", "--database", "db", "--json", subject, *words, cwd=workshop)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.mark.parametrize("subject", ["dist/redis", str(RECIPE)])
def test_the_c_library_is_there_because_the_image_starts_redis(workshop: Path, subject: str) -> None:
    words = ("--platform", "linux/amd64", LIBC)
    (libc,) = why(workshop, subject, *words)["paths"]
    assert libc["origin"] == "the recipe's entrypoint"
    assert [step["reason"]["kind"] for step in libc["chain"]] == ["entrypoint", "needed"]
    assert libc["chain"][-1]["path"] == LIBC
    assert libc["package"]["name"] == "libc6"
    assert isinstance(libc["findings"], list)
    assert (libc["layer"]["digest"] is None) == (subject != "dist/redis")
    text = rootlet("why", "--database", "db", subject, *words, cwd=workshop).stdout
    assert f"→ {LIBC}  (DT_NEEDED of " in text


def test_the_link_that_is_started_leads_to_the_program(workshop: Path) -> None:
    found = why(workshop, "dist/redis", SERVER)["paths"]
    assert found[0]["path"] == SERVER
    assert found[-1]["chain"][0]["reason"]["kind"] == "entrypoint"


def test_every_path_of_the_image_has_a_reason_and_the_plan_the_same(workshop: Path) -> None:
    read = why(workshop, "dist/redis", "/**")["paths"]
    assert len(read) > 100
    assert all(one["origin"] and all(step["reason"] for step in one["chain"]) for one in read)
    planned = why(workshop, RECIPE, "--platform", "linux/amd64", "/**")["paths"]
    chains = [{one["path"]: (one["chain"], one["package"]) for one in found} for found in (read, planned)]
    assert chains[0] == chains[1]


def test_why_not_knows_the_packages_of_the_recipe(workshop: Path) -> None:
    paths = {
        "/usr/share/man/man1/redis-server.1.gz": "documentation",
        "/usr/lib/x86_64-linux-gnu/libutil.so.1": "dependency",
        "/usr/bin/vim": "unknown",
        SERVER: "present",
    }
    done = rootlet("why-not", "--json", "--platform", "linux/amd64", RECIPE, *paths, cwd=workshop)
    assert {one["path"]: one["cause"] for one in json.loads(done.stdout)["paths"]} == paths
