"""The CA bundle as update-ca-certificates(8) makes it, without running it."""

from __future__ import annotations

from builder.errors import ResolutionError
from builder.runtime.made.material import NOTHING, Made, MadeFile, Material
from builder.sysroot import Node

FEATURE = "certificates"
PACKAGE = "ca-certificates"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
OPENSSL_FILE = "/usr/lib/ssl/cert.pem"
"""Where Debian's OpenSSL looks for its default file (X509_get_default_cert_file)."""
_FOLDERS = ("/usr/share/ca-certificates", "/usr/local/share/ca-certificates")


def make(material: Material) -> Made:
    """All certificates in one file, and OpenSSL's link to it.

    ResolutionError when the recipe asks for them and there are none.
    """
    certificates = () if material.dropped(BUNDLE) else nodes(material)
    if not certificates:
        if FEATURE in material.features and not material.dropped(BUNDLE):
            raise ResolutionError(
                "The feature certificates found no certificate in /usr/share/ca-certificates",
                hint=f"the package {PACKAGE} of the recipe's source must ship some",
            )
        return NOTHING
    content = b"".join(_with_newline(material.read(node)) for node in certificates)
    return Made(
        files=(
            MadeFile(path=BUNDLE, content=content, package=PACKAGE),
            MadeFile(path=OPENSSL_FILE, target=BUNDLE, package=PACKAGE),
        )
    )


def nodes(material: Material) -> tuple[Node, ...]:
    """Certificate files in the order of update-ca-certificates: the package's by path, then local ones."""
    return tuple(node for folder in _FOLDERS for node in material.files(f"{folder}/**.crt"))


def _with_newline(pem: bytes) -> bytes:
    return pem if pem.endswith(b"\n") else pem + b"\n"
