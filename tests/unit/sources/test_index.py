"""Compiled Packages files."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import BuildError, MachineError
from builder.sources.debian.index import CombinedIndex, PackagesFile, compile_index, index_path

SUM = "0" * 64
TEXT = f"""\
Package: libssl3t64
Source: openssl (3.5.7-1)
Version: 3.5.7-1+b1
Architecture: amd64
Provides: libssl3 (= 3.5.7-1+b1), ssl
Depends: libc6 (>= 2.38),
 zlib1g
Description: TLS
 Package: not this one
Tag: implemented-in::c,
 role::shared-lib
Multi-Arch: same
Filename: pool/main/o/openssl/libssl3t64_3.5.7-1+b1_amd64.deb
Size: 1000
SHA256: {SUM}

Package: tiny
Version: 1:2
Architecture: all
Filename: ./tiny_2_all.deb
Size: 5
SHA256: {SUM}
"""


def build(
    folder: Path, text: str | bytes, base: str = "http://mirror.test/debian", *, step: int = 64
) -> PackagesFile:
    raw = text.encode() if isinstance(text, str) else text
    digest = hashlib.sha256(raw).hexdigest()
    path = index_path(folder, digest)
    pieces = (raw[start : start + step] for start in range(0, len(raw), step))
    compile_index(pieces, path, name="Packages", size=len(raw), sha256=digest)
    return PackagesFile(path, base)


def test_package_is_found_by_name(tmp_path: Path) -> None:
    (found,) = build(tmp_path, TEXT).named("libssl3t64")
    assert (found.version, found.source_name, found.source_version) == ("3.5.7-1+b1", "openssl", "3.5.7-1")
    assert found.depends == "libc6 (>= 2.38),\n zlib1g"
    assert found.multi_arch == "same"
    assert found.url == "http://mirror.test/debian/pool/main/o/openssl/libssl3t64_3.5.7-1+b1_amd64.deb"
    assert (found.size, found.sha256) == (1000, SUM)


def test_package_without_source_is_its_own(tmp_path: Path) -> None:
    (found,) = build(tmp_path, TEXT).named("tiny")
    assert (found.source_name, found.source_version, found.url) == (
        "tiny",
        "1:2",
        "http://mirror.test/debian/tiny_2_all.deb",
    )


@pytest.mark.parametrize("name", ["", "no", "libssl3", "not", "é" * 10, "a" * 1000, "x'; DROP TABLE bucket"])
def test_other_names_are_not_found(tmp_path: Path, name: str) -> None:
    assert list(build(tmp_path, TEXT).named(name)) == []


def test_provided_names_with_their_versions(tmp_path: Path) -> None:
    index = CombinedIndex([build(tmp_path, TEXT)])
    assert [(one.candidate.name, one.version) for one in index.providers("libssl3")] == [
        ("libssl3t64", "3.5.7-1+b1")
    ]
    assert [(one.candidate.name, one.version) for one in index.providers("ssl")] == [("libssl3t64", "")]
    assert index.providers("libssl") == ()


def test_several_indexes_are_one(tmp_path: Path) -> None:
    newer = TEXT.replace("1:2", "1:3").replace("tiny_2", "tiny_3")
    index = CombinedIndex([build(tmp_path, TEXT), build(tmp_path, newer, "http://mirror.test/security")])
    assert [(one.version, one.url) for one in index.named("tiny")] == [
        ("1:3", "http://mirror.test/security/tiny_3_all.deb"),
        ("1:2", "http://mirror.test/debian/tiny_2_all.deb"),
    ]
    assert sorted(set(index.names())) == ["libssl3t64", "tiny"]
    index.close()


def test_empty_index(tmp_path: Path) -> None:
    assert list(build(tmp_path, "").names()) == []


@pytest.mark.parametrize("step", [1, 7, 100, 10_000])
def test_pieces_of_any_size_give_the_same(tmp_path: Path, step: int) -> None:
    index = build(tmp_path, TEXT, step=step)
    assert sorted(index.names()) == ["libssl3t64", "tiny"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("Version: 1\n\n", "paragraph without a Package field", id="no name"),
        pytest.param(
            "Package: a\n" + "X: " + "y" * (5 << 20), "paragraph of more than", id="an endless paragraph"
        ),
    ],
)
def test_text_that_is_no_packages_file(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BuildError, match=words):
        build(tmp_path, text, step=1 << 20)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        pytest.param("pool/main/o", "../../o", "Filename", id="a file outside the archive"),
        pytest.param("pool/main/o", "/etc", "Filename", id="an absolute file"),
        pytest.param("Size: 1000", "Size: -1", "Size", id="a negative size"),
        pytest.param("Size: 1000", "Size: 1" + "0" * 30, "Size", id="an absurd size"),
        pytest.param(f"SHA256: {SUM}\n\n", "SHA256: abc\n\n", "SHA256", id="half a checksum"),
        pytest.param("Version: 3.5.7-1+b1", "Version: 3 5", "Version", id="a version with a space"),
        pytest.param("Architecture: amd64\n", "", "Architecture", id="no architecture"),
    ],
)
def test_wrong_description_is_refused_when_it_is_used(tmp_path: Path, old: str, new: str, field: str) -> None:
    index = build(tmp_path, TEXT.replace(old, new))
    with pytest.raises(BuildError, match=f"describes 'libssl3t64' wrongly: {field} is"):
        list(index.named("libssl3t64"))


@pytest.mark.parametrize("change", [b"", b"x", TEXT.encode() + b"\n", TEXT.encode()[:-1]])
def test_text_must_be_what_the_release_file_promises(tmp_path: Path, change: bytes) -> None:
    path = tmp_path / "index"
    digest = hashlib.sha256(TEXT.encode()).hexdigest()
    with pytest.raises(BuildError, match="is not the one that the release file promises"):
        compile_index([change], path, name="P", size=len(TEXT), sha256=digest)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"junk" * 5000])
def test_damaged_file_says_what_to_remove(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "index.sqlite"
    path.write_bytes(content)
    with pytest.raises(BuildError, match="is damaged") as caught:
        PackagesFile(path, "")
    assert caught.value.hint is not None
    assert str(path) in caught.value.hint


def test_damage_inside_is_noticed(tmp_path: Path) -> None:
    index = build(tmp_path, TEXT)
    raw = bytearray(index.path.read_bytes())
    raw[4096:] = b"\xff" * (len(raw) - 4096)
    index.path.write_bytes(raw)
    with pytest.raises(BuildError, match="is damaged"):
        list(PackagesFile(index.path, "").names())


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(MachineError, match="could not be written"):
        compile_index([], tmp_path / "file" / "index", name="P", size=0, sha256=hashlib.sha256().hexdigest())


def test_odd_names_of_folders(tmp_path: Path) -> None:
    folder = tmp_path / "a?b#c%20 d"
    assert sorted(build(folder, TEXT).names()) == ["libssl3t64", "tiny"]


def test_memory_is_bounded_by_what_is_kept(tmp_path: Path) -> None:
    paragraph = TEXT.partition("\n\n")[0] + "\nDescription-long: " + "x" * 20_000 + "\n\n"

    def pieces() -> Iterator[bytes]:
        yield from (paragraph.encode() for _ in range(1000))

    digest = hashlib.sha256(paragraph.encode() * 1000).hexdigest()
    tracemalloc.start()
    try:
        compile_index(pieces(), tmp_path / "i", name="P", size=len(paragraph) * 1000, sha256=digest)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


FIELD = st.tuples(
    st.sampled_from(["Package", "Version", "Provides", "Depends", "X"]),
    st.text(alphabet="ab ,(=)\n", max_size=12),
)


@given(st.lists(st.lists(FIELD, max_size=5), max_size=5))
def test_any_text_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, paragraphs: list[list[tuple[str, str]]]
) -> None:
    text = "\n\n".join("\n".join(f"{name}: {value}" for name, value in fields) for fields in paragraphs)
    try:
        index = CombinedIndex([build(tmp_path_factory.mktemp("index"), text)])
        for name in ("a", "ab", "b"):
            index.named(name)
            index.providers(name)
        index.close()
    except BuildError:
        pass
