"""Java's trust store: the CA certificates as ca-certificates-java's hook stores them, without running Java.

The format is JKS (sun.security.provider.JavaKeyStore): big-endian numbers, text with a two-byte length, and
at the end a SHA-1 over the password, a fixed phrase and everything before. JKS and PKCS12 are both read by
``KeyStore.getInstance`` for the default type (keystore.type.compat in java.security).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import struct

from builder.errors import BuildError
from builder.runtime.made import certificates
from builder.runtime.made.material import NOTHING, Made, MadeFile, Material
from builder.sysroot import Node

PATH = "/etc/ssl/certs/java/cacerts"
_PASSWORD = "changeit"  # noqa: S105 (the public password of every JDK's cacerts: it guards nothing)
_MAGIC, _VERSION, _TRUSTED = 0xFEEDFEED, 2, 2
_PHRASE = b"Mighty Aphrodite"
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
_ALIAS_LETTERS = str.maketrans(" ,()", "__==")  # as update-ca-certificates names the files


def make(material: Material) -> Made:
    """Every certificate of the system's bundle, under the aliases that Debian gives them; sorted by alias.

    BuildError for a file that is no certificate.
    """
    nodes = () if material.dropped(PATH) else certificates.nodes(material)
    if not nodes:
        return NOTHING
    content = encode({_alias(node): _der(node, material.read(node)) for node in nodes})
    return Made(files=(MadeFile(path=PATH, content=content, package=certificates.PACKAGE),))


def encode(certificates_by_alias: dict[str, bytes]) -> bytes:
    """Write DER certificates as a JKS key store with the password "changeit"; its dates are 1970-01-01."""
    body = struct.pack(">III", _MAGIC, _VERSION, len(certificates_by_alias))
    for alias, der in sorted(certificates_by_alias.items()):
        body += struct.pack(">I", _TRUSTED) + _text(alias) + struct.pack(">Q", 0)
        body += _text("X.509") + struct.pack(">I", len(der)) + der
    # SHA-1 is the format's own checksum.
    digest = hashlib.sha1(_PASSWORD.encode("utf-16-be") + _PHRASE + body, usedforsecurity=False)
    return body + digest.digest()


def _text(text: str) -> bytes:
    encoded = text.encode("utf-8", "surrogateescape")
    return struct.pack(">H", len(encoded)) + encoded


def _alias(node: Node) -> str:
    name = node.path.rpartition("/")[2].removesuffix(".crt").translate(_ALIAS_LETTERS)
    return f"debian:{name}.pem".lower()


def _der(node: Node, content: bytes) -> bytes:
    """The first certificate of a PEM file."""
    match = _PEM.search(content)
    try:
        if match is not None:
            return base64.b64decode(b"".join(match[1].split()), validate=True)
    except binascii.Error:
        pass
    raise BuildError(
        f"{node.path} holds no certificate in PEM form, so Java's key store cannot be made",
        hint=f'correct the file, or leave the key store out: drop = ["{PATH}"]',
    )
