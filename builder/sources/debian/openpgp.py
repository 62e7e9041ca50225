"""OpenPGP signatures of release files: pysequoia, or gpgv where pysequoia cannot be imported.

What comes back is the signed text alone: nothing before, between or after the signed parts is ever seen by
the rest of rootlet (RFC 9580 §7, the cleartext signature framework).
"""

from __future__ import annotations

import base64
import binascii
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from builder.engine.command import Command, Runner
from builder.errors import BuildError, MachineError

_BEGIN = b"-----BEGIN PGP SIGNED MESSAGE-----"
_ARMOUR = re.compile(
    rb"-----BEGIN PGP (?P<kind>[A-Z ]+)-----\r?\n(?:[^\n]+\n)*\r?\n(?P<body>[A-Za-z0-9+/=\s]+?)\r?\n?"
    rb"(?:=[A-Za-z0-9+/]{4}\s*)?-----END PGP (?P=kind)-----"
)
_STATUS = re.compile(
    rb"^\[GNUPG:\] (?P<word>GOODSIG|VALIDSIG|EXPKEYSIG|EXPSIG|REVKEYSIG|BADSIG|NO_PUBKEY) (?P<key>\w+)",
    re.MULTILINE,
)
_WHY = {
    "NO_PUBKEY": "is not among the trusted keys",
    "EXPKEYSIG": "has expired",
    "EXPSIG": "made a signature that has expired",
    "REVKEYSIG": "was revoked",
    "BADSIG": "did not sign these bytes: they were changed",
}
_ADVICE = "give the archive's keys with `keyring` in the recipe, or use another mirror"


def load_keys(paths: Iterable[Path], inline: Iterable[str] = ()) -> tuple[bytes, ...]:
    """Read key files, binary or armoured, and keys given as text; all binary afterwards.

    MachineError for a file that cannot be read or holds no keys.
    """
    rings = [(str(path), _read(path)) for path in paths]
    rings += [("the inline Signed-By key", text.encode()) for text in inline]
    return tuple(_binary(name, ring) for name, ring in rings)


def verify_clearsigned(document: bytes, keys: tuple[bytes, ...], *, name: str, runner: Runner) -> bytes:
    """Return the signed text of an InRelease file.

    BuildError that names the signing keys when none of ``keys`` made a valid signature over it.
    """
    if not document.startswith(_BEGIN) or document.count(_BEGIN) != 1:
        raise BuildError(f"{name} is not one clear-signed document", hint=_ADVICE)
    if not _has_sequoia():
        return _gpgv(document, None, keys, name, runner)
    return _sequoia(document, None, keys, name)


def verify_detached(
    document: bytes, signature: bytes, keys: tuple[bytes, ...], *, name: str, runner: Runner
) -> bytes:
    """Return ``document`` (a Release file) when ``signature`` (Release.gpg) is good; errors as above."""
    if not _has_sequoia():
        return _gpgv(document, signature, keys, name, runner)
    for one in _signatures(signature, name):
        try:
            return _sequoia(document, one, keys, name)
        except BuildError as error:
            failure = error
    raise failure


def _has_sequoia() -> bool:
    try:
        import pysequoia  # noqa: F401, PLC0415 (whether the Rust extension loads on this machine)
    except ImportError:
        return False
    return True


def _signatures(blob: bytes, name: str) -> tuple[Any, ...]:
    from pysequoia import Sig  # noqa: PLC0415 (heavy; only needed when a release file is new)
    from pysequoia.packet import PacketPile  # noqa: PLC0415

    try:
        signatures = tuple(Sig.from_bytes(bytes(packet)) for packet in PacketPile.from_bytes(blob))
    except Exception as error:  # pysequoia raises bare RuntimeError and its kin
        raise BuildError(f"the signature of {name} cannot be read: {_first_line(error)}") from error
    if not signatures:
        raise BuildError(f"the signature file of {name} holds no signature", hint=_ADVICE)
    return signatures


def _sequoia(document: bytes, signature: Any, keys: tuple[bytes, ...], name: str) -> bytes:
    from pysequoia import Cert, verify  # noqa: PLC0415 (heavy; only needed when a release file is new)

    asked: list[str] = []
    try:
        certificates = [certificate for ring in keys for certificate in Cert.split_bytes(ring)]
    except Exception as error:  # pysequoia raises bare RuntimeError and its kin
        raise MachineError(f"the keys for {name} cannot be read: {_first_line(error)}") from error

    def certificates_for(issuers: list[str]) -> list[Any]:
        asked.extend(issuers)
        return certificates

    try:
        if signature is not None:
            verify(document, certificates_for, signature=signature)
            return document
        return _with_newline(verify(document, certificates_for).bytes or b"")
    except Exception as error:  # pysequoia raises bare RuntimeError and its kin
        reasons = "; ".join(_key_state(issuer, certificates) for issuer in dict.fromkeys(asked))
        raise _untrusted(name, reasons or _first_line(error)) from error


def _key_state(issuer: str, certificates: Iterable[Any]) -> str:
    from pysequoia.packet import PacketPile  # noqa: PLC0415 (only to explain a failure)

    for certificate in certificates:
        packets = PacketPile.from_bytes(bytes(certificate))
        names = {packet.fingerprint for packet in packets if "Public" in str(packet.tag)}
        if not any(name and name.lower().endswith(issuer.lower()) for name in names):
            continue
        if certificate.is_revoked:
            return f"key {issuer.upper()} was revoked"
        if certificate.expiration is not None:
            return (
                f"key {issuer.upper()} (valid until {certificate.expiration:%Y-%m-%d}) made no valid "
                "signature over these bytes"
            )
        return f"key {issuer.upper()} made no valid signature over these bytes"
    return f"key {issuer.upper()} is not among the trusted keys"


def _gpgv(
    document: bytes, signature: bytes | None, keys: tuple[bytes, ...], name: str, runner: Runner
) -> bytes:
    if runner.find("gpgv") is None:
        raise MachineError(
            f"{name} cannot be verified: neither pysequoia nor gpgv is on this machine",
            hint="pip install pysequoia, or install gpgv",
        )
    with tempfile.TemporaryDirectory(prefix="rootlet-gpgv-") as folder:
        place = Path(folder)
        (place / "keys.gpg").write_bytes(b"".join(keys))
        (place / "document").write_bytes(document)
        options = ("gpgv", "--status-fd", "1", "--keyring", str(place / "keys.gpg"))
        if signature is None:
            arguments: tuple[str, ...] = ("--output", str(place / "text"), str(place / "document"))
        else:
            (place / "signature").write_bytes(signature)
            arguments = (str(place / "signature"), str(place / "document"))
        finished = runner.run(Command(argv=(*options, *arguments), success=frozenset({0, 1, 2})))
        _judge_gpgv(finished.stdout, name)
        return _with_newline((place / "text").read_bytes()) if signature is None else document


def _judge_gpgv(status: bytes, name: str) -> None:
    """Accept one good signature, as apt does: gpgv fails when another one is by an unknown key."""
    seen = {(match["word"].decode(), match["key"].decode()) for match in _STATUS.finditer(status)}
    words = {word for word, _ in seen}
    if {"GOODSIG", "VALIDSIG"} <= words and "BADSIG" not in words:
        return
    reasons = "; ".join(f"key {key} {_WHY[word]}" for word, key in sorted(seen) if word in _WHY)
    raise _untrusted(name, reasons or "it carries no signature that can be read")


def _untrusted(name: str, reasons: str) -> BuildError:
    return BuildError(f"{name} is not signed by a trusted key: {reasons}", hint=_ADVICE)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MachineError(
            f"the keyring {path} cannot be read: {error.strerror}",
            hint="give the archive's keys with `keyring` in the recipe",
        ) from error


def _binary(name: str, ring: bytes) -> bytes:
    blocks = [match for match in _ARMOUR.finditer(ring) if match["kind"] == b"PUBLIC KEY BLOCK"]
    try:
        packets = b"".join(base64.b64decode(b"".join(block["body"].split())) for block in blocks) or ring
    except binascii.Error as error:
        raise MachineError(f"{name} is not a file of OpenPGP keys: {error}") from error
    # Every packet starts with its highest bit set (RFC 9580 §4.2).
    if not packets or packets[0] < 0x80:  # noqa: PLR2004 (the bit)
        raise MachineError(f"{name} is not a file of OpenPGP keys")
    return packets


def _with_newline(text: bytes) -> bytes:
    # The last line break belongs to the signature's frame; tools differ in whether they give it back.
    return text.rstrip(b"\n") + b"\n"
