"""The proof of rules of TLS clients, time zones and SASL: a real program breaks without the rule."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import inside
from tests.support.https_beside import CA, run_beside
from tests.support.rule_lab import Lab, Proof, config_of, make_lab

pytestmark = [pytest.mark.network, pytest.mark.tools]

_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_HOSTS = {"/etc/hosts": "127.0.0.1 localhost\n"}
_URL = "https://localhost:8443"
_SCRATCH = "/tmp"  # noqa: S108 (inside the image)
_CONNECT = f"""
my $repository = Git::Raw::Repository->init("{_SCRATCH}/r", 1);
my $remote = Git::Raw::Remote->create_anonymous($repository, "{_URL}/");
eval {{ $remote->connect("fetch"); 1 }} or print "refused: $@";
"""
_SASL_CLIENT = """
my $sasl = Authen::SASL->new(
    mechanism => "CRAM-MD5", callback => {user => "u", authname => "u", pass => "p"});
my $client = $sasl->client_new("imap", "localhost");
$client->client_start;
print $client->code, " ", $client->error, "\\n";
"""

PROOFS = [
    Proof(
        rule="time-zones-of-programs",
        packages=("rclone", "dash"),
        argv=("/usr/bin/dash", "-c", "TZ=Asia/Tokyo rclone lsl /usr/bin --include rclone"),
        env={"HOME": _SCRATCH},
        expect=r"1970-01-01 09:00:00\.0+ rclone",
        without=r"1970-01-01 00:00:00\.0+ rclone",
    ),
    Proof(
        rule="sasl-mechanisms",
        packages=("libauthen-sasl-xs-perl", "nmh", "perl"),
        argv=("/usr/bin/perl", "-MAuthen::SASL=XS", "-e", _SASL_CLIENT),
        expect="another step is needed in authentication",
        without="no mechanism available",
    ),
]

CLIENTS = [
    Proof(
        rule="certificates-of-programs",
        packages=("rclone",),
        argv=("/usr/bin/rclone", "--retries=1", "copyurl", "--stdout", f"{_URL}/hello", "-"),
        env={"HOME": _SCRATCH},
        files=_HOSTS,
        expect="hello over TLS",
        without="signed by unknown authority",
    ),
    Proof(
        rule="certificates-of-libraries",
        packages=("perl", "libgit-raw-perl"),
        argv=("/usr/bin/perl", "-MGit::Raw", "-e", _CONNECT),
        files=_HOSTS,
        expect="http status code: 404",  # the server is trusted, and has no repository
        without="SSL certificate is invalid",
    ),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One lab for all proofs."""
    yield from make_lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page for the server to show."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "hello").write_text("hello over TLS")
    return folder


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.rule)
def test_without_it_a_program_breaks(lab: Lab, proof: Proof) -> None:
    lab.check(proof)


@pytest.mark.parametrize("proof", CLIENTS, ids=lambda proof: proof.rule)
def test_without_it_a_client_trusts_no_server(lab: Lab, site: Path, proof: Proof) -> None:
    status, output = _ask(lab, site, proof, frozenset())
    assert status == 0, output
    assert re.search(proof.expect, output), output
    status, output = _ask(lab, site, proof, frozenset({proof.rule}))
    assert not (status == 0 and re.search(proof.expect, output)), output
    assert re.search(proof.without, output), output


def _ask(lab: Lab, site: Path, proof: Proof, without: frozenset[str]) -> tuple[int, str]:
    """Run the program beside the server, whose CA joins the bundle of the image if there is one."""
    recipe = proof.recipe
    root = lab.root(recipe, without)
    command = inside.command(inside.Unpacked(root=root, config=config_of(recipe.config)), argv=proof.argv)
    bundle = Path(f"{root}{_BUNDLE}")
    if bundle.exists():
        extended = site.parent / f"bundle-of-{root.name}"
        extended.write_bytes(bundle.read_bytes() + CA.read_bytes())
        place = command.index("--chdir")
        command[place:place] = ["--ro-bind", str(extended), _BUNDLE]
    done = run_beside(site, command)
    return done.returncode, done.stdout + done.stderr
