"""The proof of a rule of PAM: pam_unix, in a program that is not root, asks its helper for the password."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.rule_lab import Lab, Proof, make_lab

pytestmark = [pytest.mark.network, pytest.mark.tools]

# Of the word "sesame": openssl passwd -6 -salt abc.
_SESAME = "$6$abc$e2Lo8KyRg4tXBVW0NXmQCHiSAsja.ud6LSBAsbOerZnTqsFLzlMDQAhrATRdDz1O5s/i/VE54xxJEmVRizB6f."
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


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One lab for all proofs."""
    yield from make_lab(tmp_path_factory.mktemp("lab"))


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.rule)
def test_without_it_a_program_breaks(lab: Lab, proof: Proof) -> None:
    lab.check(proof)
