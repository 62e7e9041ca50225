"""The feature "certificates": the CA bundle as update-ca-certificates(8) makes it, without running it."""

from __future__ import annotations

from builder.errors import ResolutionError
from builder.sysroot import Kind, Node, Sysroot, read_content

PACKAGE = "ca-certificates"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
OPENSSL_FILE = "/usr/lib/ssl/cert.pem"
"""Where Debian's OpenSSL looks for its default file (X509_get_default_cert_file)."""
_FOLDERS = ("/usr/share/ca-certificates", "/usr/local/share/ca-certificates")
NAME = "certificates"
"""The feature, and what rules call the bundle."""


def found(sysroot: Sysroot) -> bool:
    """Whether the sysroot has any certificate."""
    return bool(nodes(sysroot))


def nodes(sysroot: Sysroot) -> list[Node]:
    """Certificate files in the order of update-ca-certificates: the package's by path, then local ones."""
    return [node for folder in _FOLDERS for node in _certificates(sysroot, folder)]


def bundle(sysroot: Sysroot) -> bytes:
    """All certificates, in the order of update-ca-certificates: the package's by path, then local ones.

    ResolutionError when the sysroot has none.
    """
    certificates = nodes(sysroot)
    if not certificates:
        raise ResolutionError(
            "The feature certificates found no certificate in /usr/share/ca-certificates",
            hint=f"the package {PACKAGE} of the recipe's source must ship some",
        )
    return b"".join(_with_newline(read_content(node.content)) for node in certificates if node.content)


def _certificates(sysroot: Sysroot, folder: str) -> list[Node]:
    return [node for node in sysroot.below(folder) if node.kind is Kind.FILE and node.path.endswith(".crt")]


def _with_newline(pem: bytes) -> bytes:
    return pem if pem.endswith(b"\n") else pem + b"\n"
