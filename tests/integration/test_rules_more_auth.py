"""The proof of rules of PAM and Kerberos.

pam_unix, in a program that is not root, asks its helper for the password; a KDC that wants SPAKE
pre-authentication gives tickets only to who can do it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.beside import NOT_READY, run_beside_service
from tests.support.rule_lab import Lab, Proof, make_lab

pytestmark = [pytest.mark.network, pytest.mark.tools]

# Of the word "sesame": openssl passwd -6 -salt abc.
_SESAME = "$6$abc$e2Lo8KyRg4tXBVW0NXmQCHiSAsja.ud6LSBAsbOerZnTqsFLzlMDQAhrATRdDz1O5s/i/VE54xxJEmVRizB6f."
_SCRATCH = "/tmp"  # noqa: S108 (inside the image)
PROOFS = [
    Proof(
        rule="pam-helpers",
        packages=("pamtester",),
        files={
            "/etc/pam.d/lab": "auth required pam_unix.so\n",
            "/etc/passwd": "root:x:0:0::/:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n",
            "/etc/shadow": f"alice:{_SESAME}:19000:0:99999:7:::\n",
        },
        argv=("pamtester", "lab", "alice", "authenticate"),
        stdin="sesame\n",
        user="1000",
        expect="successfully authenticated",
        without="cannot retrieve authentication info",
    ),
]

_KRB5 = """
[libdefaults]
default_realm = LAB
spake_preauth_groups = edwards25519
[realms]
LAB = {
  kdc = 127.0.0.1:8888
  disable_encrypted_timestamp = true
}
"""
_KDC = """
[logging]
kdc = STDERR
[kdcdefaults]
kdc_listen = 127.0.0.1:8888
kdc_tcp_listen = 127.0.0.1:8888
spake_preauth_kdc_challenge = edwards25519
[realms]
LAB = {
  database_name = /var/lib/krb5kdc/principal
  key_stash_file = /var/lib/krb5kdc/stash
}
"""
_START = """
cd /var/lib/krb5kdc &&
kdb5_util create -s -r LAB -P master &&
kadmin.local -q "addprinc -pw sesame +requires_preauth alice" &&
exec krb5kdc -n
"""
_SERVER = Proof(
    rule="verto-modules",
    packages=("krb5-kdc", "krb5-admin-server", "dash"),
    files={"/etc/krb5.conf": _KRB5, "/etc/krb5kdc/kdc.conf": _KDC},
    writable=("/var/lib/krb5kdc",),
    argv=("sh", "-c", _START),
    expect="krb5kdc: starting",
    without="while creating main loop",
)
_CLIENT = Proof(
    rule="kerberos-plugins",
    packages=("kstart",),
    files={"/etc/krb5.conf": _KRB5},
    argv=("k5start", "-k", f"{_SCRATCH}/tickets", "-s", "-u", "alice"),
    stdin="sesame\n",
    expect="Kerberos initialization for alice@LAB",
    without="Pre-authentication failed: Encrypted timestamp is disabled",
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One lab for all proofs."""
    yield from make_lab(tmp_path_factory.mktemp("lab"))


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.rule)
def test_without_it_a_program_breaks(lab: Lab, proof: Proof) -> None:
    lab.check(proof)


def test_without_it_nobody_gets_a_ticket(lab: Lab) -> None:
    status, output = _ask(lab)
    assert status == 0, output
    assert _CLIENT.expect in output
    status, output = _ask(lab, client=frozenset({_CLIENT.rule}))
    assert status == 1, output
    assert _CLIENT.without in output


def test_without_it_the_server_does_not_start(lab: Lab) -> None:
    status, output = _ask(lab, server=frozenset({_SERVER.rule}))
    assert status == NOT_READY, output
    assert _SERVER.without in output


def _ask(
    lab: Lab, *, server: frozenset[str] = frozenset(), client: frozenset[str] = frozenset()
) -> tuple[int, str]:
    """Ask the server for a ticket, both in images without some rules."""
    service = lab.command(_SERVER, without=server)
    done = run_beside_service(
        service, _SERVER.expect, lab.command(_CLIENT, without=client), stdin=_CLIENT.stdin
    )
    return done.returncode, done.stdout + done.stderr
