"""Facts are read once, kept on disk by content, and a bad cache is as good as none."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.elf import facts as facts_module
from builder.elf.facts import ElfFacts
from builder.elf.object import ElfError
from builder.errors import BuildError
from builder.sysroot import Content, Kind, Node, Sysroot
from tests.support.mkelf import Spec, mkelf, sysroot_of
from tests.support.mksymbols import Symbol, Tables, wants

ELF = mkelf(Spec(soname="liba.so"))
DAMAGED = mkelf(Spec(needed=("libb.so",)))[:150]


def _sysroot(folder: Path) -> Sysroot:
    files: dict[str, bytes | str] = {
        "/lib/liba.so": ELF,
        "/lib/link.so": "liba.so",
        "/etc/text": b"text" * 40,
        "/etc/short": b"\x7fELF",
        "/test/damaged": DAMAGED,
    }
    return sysroot_of(files, folder / "package.tar")


def _node(sysroot: Sysroot, path: str) -> Node:
    node = sysroot.get(path)
    assert node is not None
    return node


def _forbid_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> int:
        raise AssertionError("a file was read")

    monkeypatch.setattr(facts_module, "opened", refuse)


def test_only_elf_files_are_given(tmp_path: Path) -> None:
    facts = ElfFacts(None)
    found = [(node.path, elf.soname) for node, elf in facts.elf_nodes(_sysroot(tmp_path))]
    assert found == [("/lib/liba.so", "liba.so")]


def test_a_damaged_file_is_passed_over_and_told(tmp_path: Path) -> None:
    facts = ElfFacts(None)
    list(facts.elf_nodes(_sysroot(tmp_path)))
    assert list(facts.damaged) == ["/test/damaged"]
    with pytest.raises(ElfError, match="/test/damaged is a damaged ELF file"):
        facts.of(_node(_sysroot(tmp_path), "/test/damaged"))


def test_folders_links_and_short_files_are_not_elf(tmp_path: Path) -> None:
    sysroot = _sysroot(tmp_path)
    assert [ElfFacts(None).of(_node(sysroot, path)) for path in ("/lib", "/lib/link.so", "/etc/short")] == [
        None
    ] * 3


def test_nothing_is_read_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sysroot = _sysroot(tmp_path)
    facts = ElfFacts(None)
    first = list(facts.elf_nodes(sysroot))
    _forbid_reading(monkeypatch)
    assert list(facts.elf_nodes(sysroot)) == first


def test_a_saved_cache_answers_without_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sysroot = _sysroot(tmp_path)
    facts = ElfFacts(tmp_path / "cache")
    first = list(facts.elf_nodes(sysroot))
    facts.save()
    _forbid_reading(monkeypatch)
    later = ElfFacts(tmp_path / "cache")
    assert list(later.elf_nodes(sysroot)) == first
    assert later.damaged == facts.damaged


def test_one_file_is_written_for_each_store_and_only_when_something_is_new(tmp_path: Path) -> None:
    sysroot = _sysroot(tmp_path)
    cache = tmp_path / "cache"
    facts = ElfFacts(cache)
    facts.save()
    assert not cache.exists()
    list(facts.elf_nodes(sysroot))
    facts.save()
    (file,) = cache.iterdir()
    before = file.stat().st_mtime_ns
    later = ElfFacts(cache)
    list(later.elf_nodes(sysroot))
    later.save()
    assert file.stat().st_mtime_ns == before


def test_new_facts_are_added_to_those_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sysroot = _sysroot(tmp_path)
    for path in ("/lib/liba.so", "/etc/text"):
        facts = ElfFacts(tmp_path / "cache")
        facts.of(_node(sysroot, path))
        facts.save()
    _forbid_reading(monkeypatch)
    later = ElfFacts(tmp_path / "cache")
    assert later.of(_node(sysroot, "/lib/liba.so")) is not None
    assert later.of(_node(sysroot, "/etc/text")) is None


def signed(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def test_a_changed_letter_in_the_cache_is_noticed(tmp_path: Path) -> None:
    sysroot = _sysroot(tmp_path)
    facts = ElfFacts(tmp_path / "cache")
    list(facts.elf_nodes(sysroot))
    facts.save()
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(file.read_bytes().replace(b"liba.so", b"libz.so"))
    assert [elf.soname for _, elf in ElfFacts(tmp_path / "cache").elf_nodes(sysroot)] == ["liba.so"]


CACHES = {
    "not JSON": b"{",
    "not UTF-8": b"\xff\xfe",
    "a list": b"[]",
    "another version": b'{"version": 0, "elf": {}, "other": []}',
    "fields missing": b'{"version": 1}',
    "facts of another shape": b'{"version": 1, "elf": [1], "other": []}',
    "others of another shape": b'{"version": 1, "elf": {}, "other": [[1]]}',
    "too deep": b"[" * 100_000,
}


@pytest.mark.parametrize("text", CACHES.values(), ids=CACHES)
def test_a_bad_cache_is_ignored_and_written_anew(text: bytes, tmp_path: Path) -> None:
    sysroot = _sysroot(tmp_path)
    facts = ElfFacts(tmp_path / "cache")
    list(facts.elf_nodes(sysroot))
    facts.save()
    (file,) = (tmp_path / "cache").iterdir()
    good = file.read_bytes()
    file.write_bytes(signed(text))
    later = ElfFacts(tmp_path / "cache")
    assert len(list(later.elf_nodes(sysroot))) == 1
    later.save()
    assert file.read_bytes() == good


def test_one_bad_fact_is_read_again(tmp_path: Path) -> None:
    sysroot = _sysroot(tmp_path)
    facts = ElfFacts(tmp_path / "cache")
    list(facts.elf_nodes(sysroot))
    facts.save()
    (file,) = (tmp_path / "cache").iterdir()
    document = json.loads(file.read_bytes().partition(b"\n")[2])
    document["elf"] = {
        sha256: [1, 2] if isinstance(fact, list) else fact for sha256, fact in document["elf"].items()
    }
    file.write_bytes(signed(json.dumps(document).encode()))
    later = ElfFacts(tmp_path / "cache")
    assert [elf.soname for _, elf in later.elf_nodes(sysroot)] == ["liba.so"]


def test_a_file_without_a_checksum_is_not_cached_on_disk(tmp_path: Path) -> None:
    store = tmp_path / "program"
    store.write_bytes(ELF)
    content = Content(store=store, offset=0, size=len(ELF), sha256="")
    node = Node(path="/usr/bin/x", kind=Kind.FILE, mode=0o755, content=content)
    facts = ElfFacts(tmp_path / "cache")
    assert facts.of(node) is not None
    facts.save()
    assert not (tmp_path / "cache").exists()


def test_a_damaged_file_is_named_by_the_path_that_is_asked_for(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {"/one": DAMAGED, "/two": DAMAGED}
    sysroot = sysroot_of(files, tmp_path / "store")
    facts = ElfFacts(None)
    list(facts.elf_nodes(sysroot))
    assert [message.split()[0] for message in facts.damaged.values()] == ["/one", "/two"]


def test_a_store_that_is_gone_is_an_error_that_names_it(tmp_path: Path) -> None:
    sysroot = _sysroot(tmp_path)
    (tmp_path / "package.tar").unlink()
    with pytest.raises(BuildError, match=r"package\.tar could not be opened"):
        ElfFacts(None).of(_node(sysroot, "/lib/liba.so"))


def test_a_store_that_is_cut_short_is_an_elf_error(tmp_path: Path) -> None:
    sysroot = _sysroot(tmp_path)
    (tmp_path / "package.tar").write_bytes(ELF[:100])
    with pytest.raises(ElfError, match="outside the file"):
        ElfFacts(None).of(_node(sysroot, "/lib/liba.so"))


def test_elftools_is_imported_only_when_something_is_parsed() -> None:
    code = (
        "import sys, builder.elf.closure, builder.elf.ldcache, builder.elf.facts;"
        "print(any(name.startswith('elftools') for name in sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert told.stdout.strip() == "False"


_WATCHED = frozenset({"dlopen", "iconv_open"})


def _uses(tmp_path: Path) -> Sysroot:
    symbols = (wants("dlopen"), wants("free"), Symbol(name="iconv_open"))
    body = mkelf(Spec(tables=Tables(symbols=symbols), rodata=b"\0/usr/lib/x\0", writable=False))
    return sysroot_of({"/a": body, "/text": b"text" * 40}, tmp_path / "p.tar")


def test_watched_symbols_are_those_that_a_file_leaves_to_others(tmp_path: Path) -> None:
    facts = ElfFacts(None, watched=_WATCHED)
    sysroot = _uses(tmp_path)
    assert facts.imports(_node(sysroot, "/a")) == {"dlopen"}
    assert facts.imports(_node(sysroot, "/text")) == frozenset()
    assert ElfFacts(None).imports(_node(sysroot, "/a")) == frozenset()


def test_lists_are_kept_on_disk_for_one_set_of_symbols(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = _node(_uses(tmp_path), "/a")
    cache = tmp_path / "cache"
    facts = ElfFacts(cache, watched=_WATCHED)
    assert facts.imports(node) == {"dlopen"}
    assert facts.named_paths(node) == {"/usr/lib/x"}
    facts.save()
    others = ElfFacts(cache, watched=frozenset({"free"}))
    assert others.imports(node) == {"free"}
    _forbid_reading(monkeypatch)
    later = ElfFacts(cache, watched=_WATCHED)
    assert later.imports(node) == {"dlopen"}
    assert later.named_paths(node) == {"/usr/lib/x"}
    with pytest.raises(AssertionError):
        ElfFacts(cache, watched=frozenset({"free"})).imports(node)


def test_facts_without_watched_symbols_keep_those_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sysroot = _uses(tmp_path)
    facts = ElfFacts(tmp_path / "cache", watched=_WATCHED)
    facts.imports(_node(sysroot, "/a"))
    facts.save()
    plain = ElfFacts(tmp_path / "cache")
    plain.of(_node(sysroot, "/text"))
    plain.save()
    _forbid_reading(monkeypatch)
    later = ElfFacts(tmp_path / "cache", watched=_WATCHED)
    assert later.imports(_node(sysroot, "/a")) == {"dlopen"}


def test_damaged_symbols_are_passed_over_and_told(tmp_path: Path) -> None:
    body = mkelf(Spec(soname="x", tables=Tables(symbols=(wants("dlopen"),))))
    at = body.index((6).to_bytes(8, "little"), 0x100)
    body = body[: at + 8] + b"\xff" * 8 + body[at + 16 :]
    node = _node(sysroot_of({"/a": body}, tmp_path / "store"), "/a")
    for _ in range(2):  # the second time from the cache
        facts = ElfFacts(tmp_path / "cache", watched=_WATCHED)
        assert facts.imports(node) == frozenset()
        assert facts.damaged == {"/a": "/a is a damaged ELF file: its symbol table is in no segment"}
        with pytest.raises(ElfError):
            facts.symbols(node)
        facts.save()


def test_symbols_are_read_once_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sysroot = _uses(tmp_path)
    facts = ElfFacts(None)
    first = facts.symbols(_node(sysroot, "/a"))
    assert facts.symbols(_node(sysroot, "/text")) is None
    _forbid_reading(monkeypatch)
    assert facts.symbols(_node(sysroot, "/a")) is first


def test_lists_of_a_file_without_a_checksum_stay_in_memory(tmp_path: Path) -> None:
    node = _node(_uses(tmp_path), "/a")
    content = node.content
    assert content is not None
    loose = replace(node, content=replace(content, sha256=""))
    facts = ElfFacts(tmp_path / "cache", watched=_WATCHED)
    assert facts.imports(loose) == {"dlopen"}
    facts.save()
    assert not (tmp_path / "cache").exists()
