"""Signatures: only what a trusted key signed comes through, whichever program checks it."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pysequoia
import pytest

from builder.engine.command import Command, Finished, MachineRunner
from builder.errors import BuildError, MachineError
from builder.sources.debian import openpgp
from builder.sources.debian.archive import SHIPPED_KEYS
from builder.sources.debian.openpgp import load_keys, verify_clearsigned, verify_detached
from tests.support.debian_archive import Key, make_key

TEXT = b"Origin: Debian\n- dashed\n-----\n\nSuite: test\n"
RUNNER = MachineRunner(os.environ)

needs_gpgv = pytest.mark.skipif(shutil.which("gpgv") is None, reason="gpgv is not installed")


@pytest.fixture(params=["pysequoia", pytest.param("gpgv", marks=[pytest.mark.tools, needs_gpgv])])
def program(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name: str = request.param
    monkeypatch.setattr(openpgp, "_has_sequoia", lambda: name == "pysequoia")
    return name


@pytest.fixture(scope="session")
def stranger() -> Key:
    return make_key("Stranger <stranger@example.test>")


@pytest.mark.usefixtures("program")
def test_signed_text_comes_back_without_its_frame(key: Key) -> None:
    assert verify_clearsigned(key.clear(TEXT), (key.public,), name="x", runner=RUNNER) == TEXT


@pytest.mark.usefixtures("program")
def test_detached_signature(key: Key) -> None:
    signature = key.detached(TEXT)
    assert verify_detached(TEXT, signature, (key.public,), name="x", runner=RUNNER) == TEXT


@pytest.mark.usefixtures("program")
def test_one_good_signature_of_several_is_enough(key: Key, stranger: Key) -> None:
    mode = pysequoia.SignatureMode.DETACHED
    both = b"".join(
        bytes(pysequoia.sign(one.secret.signer(), TEXT, mode=mode, armor=False)) for one in (stranger, key)
    )
    assert verify_detached(TEXT, both, (key.public,), name="x", runner=RUNNER) == TEXT


@pytest.mark.usefixtures("program")
@pytest.mark.parametrize(
    ("change", "text"),
    [
        pytest.param(
            lambda doc: doc.replace(b"Suite: test", b"Suite: evil"), "these bytes", id="changed text"
        ),
        pytest.param(
            lambda doc: doc.replace(b"Origin", b"\xff\xfe"), "these bytes", id="changed to other bytes"
        ),
        pytest.param(lambda doc: b"Evil: 1\n" + doc, "not one clear-signed document", id="text before it"),
        pytest.param(lambda doc: doc + doc, "not one clear-signed document", id="two documents"),
        pytest.param(lambda _: TEXT, "not one clear-signed document", id="no signature at all"),
        pytest.param(lambda _: b"", "not one clear-signed document", id="nothing"),
        pytest.param(lambda doc: doc[: len(doc) // 2], "is not signed by a trusted key", id="half of it"),
    ],
)
def test_other_documents_are_refused(key: Key, change: Callable[[bytes], bytes], text: str) -> None:
    with pytest.raises(BuildError, match=text):
        verify_clearsigned(change(key.clear(TEXT)), (key.public,), name="x", runner=RUNNER)


@pytest.mark.usefixtures("program")
def test_text_behind_the_signature_is_not_seen(key: Key) -> None:
    document = key.clear(TEXT) + b"\nEvil: 1\n"
    assert verify_clearsigned(document, (key.public,), name="x", runner=RUNNER) == TEXT


@pytest.mark.usefixtures("program")
def test_unknown_key_is_named(key: Key, stranger: Key) -> None:
    with pytest.raises(BuildError, match=r"key [0-9A-F]{16,} is not among the trusted keys") as caught:
        verify_clearsigned(stranger.clear(TEXT), (key.public,), name="x", runner=RUNNER)
    assert caught.value.hint is not None
    assert "keyring" in caught.value.hint


@pytest.mark.usefixtures("program")
def test_detached_signature_of_other_bytes(key: Key) -> None:
    signature = key.detached(TEXT)
    with pytest.raises(BuildError, match="is not signed by a trusted key"):
        verify_detached(TEXT + b"x", signature, (key.public,), name="x", runner=RUNNER)


def test_signature_file_that_is_none(key: Key) -> None:
    with pytest.raises(BuildError, match="signature of x cannot be read"):
        verify_detached(TEXT, b"nothing", (key.public,), name="x", runner=RUNNER)


def test_expired_key_is_refused() -> None:
    old = make_key("Old <old@example.test>")
    document = old.clear(TEXT)
    certificate = old.secret.extract_certificate()
    past = dt.datetime.now(tz=dt.UTC) - dt.timedelta(seconds=1)
    expired = certificate.set_expiration(past, old.secret.certifier())
    with pytest.raises(BuildError, match=r"key [0-9A-F]+ \(valid until \d{4}-\d\d-\d\d\) made no valid"):
        verify_clearsigned(document, (bytes(expired),), name="x", runner=RUNNER)


def test_shipped_keys_are_debians() -> None:
    (ring,) = load_keys([SHIPPED_KEYS])
    certificates = pysequoia.Cert.split_bytes(ring)
    names = {str(certificate.user_ids[0]) for certificate in certificates}
    assert {
        f"({number}/{name})" for number, name in ((11, "bullseye"), (12, "bookworm"), (13, "trixie"))
    } == {name[name.index("(") : name.index(")") + 1] for name in names}
    readme = (SHIPPED_KEYS.parent / "README.md").read_text()
    assert all(certificate.fingerprint.upper() in readme for certificate in certificates)


def test_armoured_and_binary_keys_are_the_same(tmp_path: Path, key: Key) -> None:
    armoured = pysequoia.armor(key.public, pysequoia.ArmorKind.PublicKey)
    (tmp_path / "a.asc").write_text(f"Comment before\n\n{armoured}\n{armoured}")
    (tmp_path / "b.pgp").write_bytes(key.public)
    text, binary, inline = load_keys([tmp_path / "a.asc", tmp_path / "b.pgp"], [armoured])
    assert (text, binary, inline) == (key.public * 2, key.public, key.public)


@pytest.mark.parametrize("content", [b"", b"hello", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n"])
def test_file_without_keys(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "keys").write_bytes(content)
    with pytest.raises(MachineError, match="is not a file of OpenPGP keys"):
        load_keys([tmp_path / "keys"])


def test_absent_keyring(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="cannot be read: No such file"):
        load_keys([tmp_path / "keys"])


class NoPrograms:
    """A machine without any."""

    def find(self, program: str) -> str | None:  # noqa: ARG002 (the protocol's)
        return None

    def run(self, command: Command) -> Finished:
        raise AssertionError(command)


def test_machine_without_any_verifier(key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openpgp, "_has_sequoia", lambda: False)
    with pytest.raises(MachineError, match="neither pysequoia nor gpgv"):
        verify_clearsigned(key.clear(TEXT), (key.public,), name="x", runner=NoPrograms())
