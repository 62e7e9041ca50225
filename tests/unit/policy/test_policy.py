"""What an image may be: what is seen of its files, and where a policy says no."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builder.oci import ImageConfig
from builder.policy.check import breaches, cautions
from builder.policy.model import Hardening, ImageFacts, Sightings
from builder.policy.watch import PolicyWatch
from builder.recipe.model import ImagePolicy
from builder.recipe.policy_keys import HARDENING
from builder.sysroot import Kind
from tests.support.inventory import MemoryFile

SETTINGS = b'{"key": "AKIAABCDEFGHIJKLMNOP"}'
KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blb\n"


def file(path: str, payload: bytes = b"x", mode: int = 0o644) -> MemoryFile:
    return MemoryFile(path=path, payload=payload, mode=mode)


def seen(*files: MemoryFile, hardening: frozenset[Hardening] = frozenset()) -> Sightings:
    watch = PolicyWatch(hardening=hardening)
    assert list(watch.follow(files)) == list(files)
    return watch.sightings()


def test_what_is_seen_of_a_tree() -> None:
    found = seen(
        file("/usr/bin/dash", mode=0o755),
        MemoryFile(path="/bin/sh", kind=Kind.SYMLINK, target="dash", mode=0o777),
        file("/usr/bin/apt-get"),
        file("/usr/share/sh"),
        file("/usr/bin/su", mode=0o4755),
        file("/usr/lib/data", mode=0o2644),
        file("/srv/open", mode=0o666),
        MemoryFile(path="/srv/tmp", kind=Kind.DIRECTORY, mode=0o1777),
        MemoryFile(path="/srv/box", kind=Kind.DIRECTORY, mode=0o777),
        file("/root/.ssh/id_rsa", KEY),
        file("/usr/lib/python3/test/key.pem", KEY),
        file("/srv/app/settings.json", SETTINGS),
        file("/srv/app/.env", b"A=b"),
        file("/srv/app/notes.md", KEY),
    )
    assert found == Sightings(
        shells=("/bin/sh", "/usr/bin/dash"),
        managers=("/usr/bin/apt-get",),
        setuid=("/usr/bin/su",),
        world_writable=("/srv/box", "/srv/open"),
        secrets=(
            ("/root/.ssh/id_rsa", "a private key"),
            ("/srv/app/.env", "a file of secrets by its name"),
            ("/srv/app/settings.json", "an AWS access key"),
        ),
        size=6 + 3 * len(KEY) + len(SETTINGS) + len(b"A=b"),
    )


def test_a_file_that_cannot_be_read_is_left_to_the_inventory() -> None:
    assert seen(MemoryFile(path="/root/.env", error=OSError(5, "no"), declared=3)).secrets == ()


SOME = Sightings(
    shells=("/bin/sh",),
    managers=("/usr/bin/apt",),
    setuid=("/usr/bin/su",),
    world_writable=("/srv/open",),
    secrets=(("/root/key", "a private key"),),
    soft=(("/usr/bin/app", Hardening.PIE),),
    size=41_000_000,
)
FACTS = ImageFacts(
    config=ImageConfig(user="app", labels=(("a", "b"),)), bases=("docker.io/library/debian:13",)
)


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({"max_size": 40_000_000}, "the files take 41.0 MB, more than max_size = 40.0 MB"),
        ({"shell": False}, "/bin/sh: a shell"),
        ({"package_manager": False}, "/usr/bin/apt: a package manager"),
        ({"setuid": False}, "/usr/bin/su: a program with the rights of its owner"),
        ({"world_writable": False}, "/srv/open: writable for everybody"),
        ({"secrets": False}, "/root/key (a private key)"),
        ({"hardening": ("nx", "pie")}, "/usr/bin/app: built without pie"),
        ({"labels": ("a", "c")}, "the image lacks c"),
        ({"pinned": True}, "docker.io/library/debian:13 can be another image tomorrow"),
        (
            {"trusted_bases": ("gcr.io/distroless/*",)},
            "docker.io/library/debian:13 is none of gcr.io/distroless/*",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_policy_says_no(policy: dict[str, object], words: str) -> None:
    (breach,) = breaches(ImagePolicy(**policy), SOME, FACTS)  # type: ignore[arg-type]  # the table's own keys
    assert (breach.check, breach.message) == (next(iter(policy)), words)


@pytest.mark.parametrize(
    "policy",
    [
        ImagePolicy(),
        ImagePolicy(shell=True, package_manager=True, setuid=True, secrets=True),  # noqa: S604 (no process)
        ImagePolicy(max_size=41_000_000, labels=("a",), root=False, hardening=("nx", "relro")),
        ImagePolicy(trusted_bases=("gcr.io/*", "docker.io/library/*")),
        ImagePolicy(trusted_bases=("docker.io/library/debian",)),
    ],
)
def test_a_policy_is_content(policy: ImagePolicy) -> None:
    assert breaches(policy, SOME, FACTS) == ()


@pytest.mark.parametrize("user", ["", "root", "0", "0:0"])
def test_root_is_seen_by_name_and_number(user: str) -> None:
    facts = replace(FACTS, config=ImageConfig(user=user))
    assert [one.check for one in breaches(ImagePolicy(root=False), Sightings(), facts)] == ["root"]


def test_a_base_by_digest_is_pinned() -> None:
    facts = replace(FACTS, bases=(f"debian@sha256:{'a' * 64}",))
    assert breaches(ImagePolicy(pinned=True), Sightings(), facts) == ()


def test_a_folder_has_no_configuration_to_judge() -> None:
    assert breaches(ImagePolicy(root=False, pinned=True), Sightings(), None) == ()


def test_what_nobody_forbade_is_told_and_what_is_allowed_is_not() -> None:
    assert len(cautions(ImagePolicy(), SOME)) == 3
    assert cautions(ImagePolicy(setuid=True, world_writable=True, secrets=True), SOME) == ()


def test_the_words_of_the_recipe_are_the_protections() -> None:
    assert set(HARDENING) == {one.value for one in Hardening}
