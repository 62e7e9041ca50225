"""Paths that a program names in its constants."""

from __future__ import annotations

import pytest

from builder.elf import strings
from builder.elf.object import ElfError
from builder.elf.strings import contained, named_paths
from tests.support.mkelf import Spec, mkelf


def _paths(text: bytes, *, writable: bool = False) -> set[str]:
    return set(named_paths(mkelf(Spec(rodata=b"\0" + text + b"\0", writable=writable)), name="x"))


CASES: dict[str, tuple[bytes, set[str]]] = {
    "a path is a string": (b"/usr/lib/sasl2", {"/usr/lib/sasl2"}),
    "a slash at the end is left out": (b"/usr/lib/sasl2/", {"/usr/lib/sasl2"}),
    "double slashes are one": (b"/usr//lib", {"/usr/lib"}),
    "a list of paths is taken apart": (b"PATH=/usr/bin:/usr/sbin", {"/usr/bin", "/usr/sbin"}),
    "a form for printf gives its folder": (b"/usr/lib/%s/x.so", {"/usr/lib"}),
    "a form in the middle of a name too": (b"/usr/lib/x/lib%s.so", {"/usr/lib/x"}),
    "one name is not enough": (b"/etc\0/usr/", set()),
    "the middle of another path is no path": (b"/home/me/usr/lib/x", set()),
    "a relative path is no path": (b"share/usr/lib", set()),
    "folders of one's own are not asked for": (b"/home/x/y\0/proc/self/maps\0/dev/null", set()),
    "dots are not followed": (b"/usr/lib/../x/y", set()),
    "settings and state count": (
        b"/etc/x.conf\0/var/lib/x\0/opt/x/y",
        {"/etc/x.conf", "/var/lib/x", "/opt/x/y"},
    ),
    "longer than a hint needs": (b"/usr/" + b"a" * 300, set()),
}


@pytest.mark.parametrize(("text", "paths"), CASES.values(), ids=CASES)
def test_which_paths_are_named(text: bytes, paths: set[str]) -> None:
    assert _paths(text) == paths


def test_bytes_that_a_process_may_write_are_passed_over() -> None:
    assert _paths(b"/usr/lib/x", writable=True) == set()


def test_a_path_across_two_pieces_is_found_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    body = mkelf(Spec(rodata=b"\0/usr/lib/first\0/usr/lib/second\0", writable=False))
    for size in range(1, 64):
        monkeypatch.setattr(strings, "_CHUNK", size)
        assert named_paths(body, name="x") == {"/usr/lib/first", "/usr/lib/second"}


def test_the_number_of_paths_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strings, "_MAX_PATHS", 3)
    assert len(_paths(b"\0".join(b"/usr/lib/%d" % number for number in range(9)))) == 3


def test_a_damaged_file_is_an_error() -> None:
    with pytest.raises(ElfError, match="x is a damaged ELF file"):
        named_paths(b"\x7fELF\x02\x01", name="x")


def test_a_long_run_of_slashes_and_names_takes_no_time() -> None:
    assert _paths(b"/usr" + b"/a" * 500_000) == set()


@pytest.mark.parametrize("before", [0, 1, (1 << 20) - 3, (1 << 20), (1 << 20) + 5])
def test_a_text_is_found_wherever_it_stands(before: int) -> None:
    texts = frozenset({"/etc/ssl/a.crt", "/nowhere"})
    assert contained(b"x" * before + b"/etc/ssl/a.crt" + b"y" * 9, texts) == {"/etc/ssl/a.crt"}
    assert contained(b"x" * before + b"/etc/ssl/a.cr", texts) == frozenset()
