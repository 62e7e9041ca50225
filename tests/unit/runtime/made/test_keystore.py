"""Java's trust store, read back field by field; what an image with it holds."""

from __future__ import annotations

import base64
import hashlib
import io
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.elf.facts import ElfFacts
from builder.errors import BuildError
from builder.oci import Platform
from builder.plan.build import make_plan
from builder.recipe.model import Recipe, Runtime
from builder.recipe.source_model import DebianSource
from builder.runtime.made.keystore import PATH, encode, make
from builder.runtime.made.material import Material
from builder.runtime.resolve import resolve
from builder.runtime.rulebook import read_rules
from builder.sources.debian.tree import merged_tree
from builder.sources.local import LocalFiles
from builder.sysroot import Package
from tests.support.packages import File, make_package

FOLDER = "/usr/share/ca-certificates/mozilla"
RULE = """
[[rule]]
name = "r"
about = "programs of this test open these files"
when.path = "/usr/bin/app"
make = ["java-keystore"]
"""


def decode(store: bytes) -> dict[str, bytes]:
    """Read a key store as the JDK's JavaKeyStore does; every check it makes is an assertion."""
    body, digest = store[:-20], store[-20:]
    password = "".join(f"\0{letter}" for letter in "changeit").encode()
    assert hashlib.sha1(password + b"Mighty Aphrodite" + body).digest() == digest
    stream = io.BytesIO(body)

    def number(size: int) -> int:
        return int.from_bytes(stream.read(size), "big")

    assert (number(4), number(4)) == (0xFEEDFEED, 2)
    found = {}
    for _ in range(number(4)):
        assert number(4) == 2  # a trusted certificate
        alias = stream.read(number(2)).decode()
        assert number(8) == 0
        assert stream.read(number(2)) == b"X.509"
        found[alias] = stream.read(number(4))
    assert stream.read() == b""
    return found


def pem(der: bytes) -> bytes:
    """A certificate's file."""
    text = base64.encodebytes(der).decode()
    return f"# a note\n-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n".encode()


def certificates(folder: Path, files: dict[str, bytes]) -> Package:
    """A package of CA certificates."""
    shipped = {f"{FOLDER}/{name}": File(content=content) for name, content in files.items()}
    return make_package(folder, "ca-certificates", shipped)


@given(st.dictionaries(st.text("abcäöü:._-", max_size=40), st.binary(max_size=300), max_size=8))
def test_what_is_written_is_what_java_reads(entries: dict[str, bytes]) -> None:
    assert decode(encode(entries)) == entries


def test_numbers_and_texts_are_as_in_a_store_of_java() -> None:
    store = encode({"debian:a.pem": b"DER"})
    head = bytes.fromhex("feedfeed 00000002 00000001 00000002 000c") + b"debian:a.pem" + bytes(8)
    assert store[:-20] == head + struct.pack(">H", 5) + b"X.509" + struct.pack(">I", 3) + b"DER"


def test_aliases_are_those_of_ca_certificates_java(tmp_path: Path) -> None:
    files = {"Sécom, Inc (Root) R1.crt": pem(b"one"), "B_1.crt": pem(b"two"), "README": b"no certificate"}
    tree = merged_tree((certificates(tmp_path, files),))
    (store,) = make(Material(sysroot=tree)).files
    assert decode(store.content) == {"debian:sécom__inc_=root=_r1.pem": b"one", "debian:b_1.pem": b"two"}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="an empty file"),
        pytest.param(b"-----BEGIN CERTIFICATE-----\nQUJD\n", id="a file without an end"),
        pytest.param(
            b"-----BEGIN CERTIFICATE-----\nQ*JD\n-----END CERTIFICATE-----\n", id="letters beyond base64"
        ),
        pytest.param(pem(b"abc").replace(b"YWJj", b"YWJ"), id="base64 that is cut off"),
    ],
)
def test_a_file_that_is_no_certificate_is_said(content: bytes, tmp_path: Path) -> None:
    tree = merged_tree((certificates(tmp_path, {"bad.crt": content}),))
    with pytest.raises(BuildError) as error:
        make(Material(sysroot=tree))
    assert str(error.value).startswith(f"{FOLDER}/bad.crt holds no certificate")
    assert (error.value.hint or "").endswith(f'drop = ["{PATH}"]')


@pytest.mark.parametrize(
    ("drop", "certificate", "expected"),
    [
        pytest.param((), True, True, id="a rule makes it"),
        pytest.param((PATH,), True, False, id="the recipe drops it"),
        pytest.param(("/etc/ssl/**",), True, False, id="the recipe drops its folder"),
        pytest.param((), False, False, id="without certificates there is none"),
    ],
)
def test_the_image_has_it(drop: tuple[str, ...], certificate: bool, expected: bool, tmp_path: Path) -> None:
    app = make_package(tmp_path, "app", {"/usr/bin/app": File(content=b"x", mode=0o755)})
    files = {"a.crt": pem(b"one")} if certificate else {}
    sysroot = merged_tree((app, certificates(tmp_path, files)))
    recipe = Recipe(
        path=tmp_path / "recipe.toml",
        name="app",
        platform=Platform("linux", "amd64"),
        sources=(DebianSource(name="os", packages=("app",)),),
        runtime=Runtime(drop=drop),
    )
    facts, local = ElfFacts(None), LocalFiles(made={})
    closure = resolve(recipe, sysroot, local, facts, read_rules(RULE, "r.toml"))
    plan = make_plan(recipe, sysroot, closure, local, facts, epoch=None)
    entries = {entry.path: entry for layer in plan.layers for entry in layer.entries}
    assert (PATH in entries) == expected
    if expected:
        assert entries[PATH].content == encode({"debian:a.pem": b"one"})
        assert str(entries[PATH].reason) == "needed at run time by /usr/bin/app (r)"
