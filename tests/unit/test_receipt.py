"""Receipts: trusted only as long as nothing that went in or came out has changed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builder import receipt as receipt_module
from builder.files import stamp
from builder.oci import Digest
from builder.receipt import (
    Receipt,
    code_stamp,
    output_stamps,
    receipt_path,
    unchanged,
    write_receipt,
)
from builder.recipe.model import Output, OutputKind
from tests.support.summaries import SUMMARY

NOW = 1000.0


def receipt_of(folder: Path) -> tuple[Path, Receipt]:
    """A receipt on disk over one input and one output."""
    for name in ("in", "out"):
        (folder / name).write_text(name)
    receipt = Receipt(
        code=code_stamp(),
        inputs=(stamp(folder / "in"), stamp(folder / "gone")),
        outputs=(stamp(folder / "out"),),
        valid_until=float("inf"),
        summary=SUMMARY,
    )
    path = folder / "receipts" / "r.json"
    write_receipt(path, receipt)
    return path, receipt


def test_the_summary_comes_back_and_says_that_nothing_was_done(tmp_path: Path) -> None:
    path, _ = receipt_of(tmp_path)
    assert unchanged(path, now=NOW) == replace(SUMMARY, unchanged=True)


def test_any_change_is_noticed(tmp_path: Path) -> None:
    changes: dict[str, Callable[[], object]] = {
        "an input written": lambda: (tmp_path / "in").write_text("other text"),
        "an input touched": lambda: os.utime(tmp_path / "in", ns=(1, 1)),
        "an input gone": (tmp_path / "in").unlink,
        "an input that was not there": lambda: (tmp_path / "gone").write_text(""),
        "an output gone": (tmp_path / "out").unlink,
        "an output with another mode": lambda: (tmp_path / "out").chmod(0o600),
    }
    for name, change in changes.items():
        (tmp_path / "gone").unlink(missing_ok=True)
        path, _ = receipt_of(tmp_path)
        assert unchanged(path, now=NOW) is not None, name
        change()
        assert unchanged(path, now=NOW) is None, name
        (tmp_path / "out").unlink(missing_ok=True)


def test_a_receipt_ends(tmp_path: Path) -> None:
    path, receipt = receipt_of(tmp_path)
    write_receipt(path, replace(receipt, valid_until=NOW))
    assert unchanged(path, now=NOW - 1) is not None
    assert unchanged(path, now=NOW) is None


def test_another_version_of_rootlet_builds_anew(tmp_path: Path) -> None:
    path, receipt = receipt_of(tmp_path)
    write_receipt(path, replace(receipt, code="0.0 1"))
    assert unchanged(path, now=NOW) is None


def test_there_may_be_no_receipt(tmp_path: Path) -> None:
    assert unchanged(tmp_path / "none", now=NOW) is None
    assert unchanged(tmp_path, now=NOW) is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b'{"summary": "x"}',
        b'{"summary": []}',
        b'{"summary": {"platforms": [1]}}',
        *(b"null", b'"text"', b'{"summary": null}'),
    ],
    ids=lambda text: text[:20],
)
def test_a_foreign_receipt_reads_as_none(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "r.json"
    path.write_bytes(text)
    assert unchanged(path, now=NOW) is None
    path.write_bytes(hashlib.sha256(text).hexdigest().encode() + b"\n" + text)
    assert unchanged(path, now=NOW) is None


def test_a_receipt_of_an_older_form_reads_as_none(tmp_path: Path) -> None:
    path, _ = receipt_of(tmp_path)
    text = path.read_bytes().partition(b"\n")[2]
    path.write_bytes(text)  # before there were checksums
    assert unchanged(path, now=NOW) is None
    for key in json.loads(text):
        document = json.loads(text)
        del document[key]
        older = json.dumps(document).encode()
        path.write_bytes(hashlib.sha256(older).hexdigest().encode() + b"\n" + older)
        assert unchanged(path, now=NOW) is None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10_000), letter=st.integers(0, 255))
def test_a_damaged_receipt_reads_as_none(tmp_path: Path, place: int, letter: int) -> None:
    path, _ = receipt_of(tmp_path)
    text = bytearray(path.read_bytes())
    place %= len(text)
    if text[place] != letter:
        text[place] = letter
        path.write_bytes(text)
        assert unchanged(path, now=NOW) is None
    path.write_bytes(text[:place])
    assert unchanged(path, now=NOW) is None


def test_a_full_disk_costs_the_receipt_and_not_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    path, receipt = receipt_of(tmp_path)
    monkeypatch.setattr(receipt_module, "write_checked", refuse)
    write_receipt(path, receipt)


def test_each_command_line_has_its_own_receipt(tmp_path: Path) -> None:
    lines = [("a", "b"), ("a b",), ("ab",), ("a", "b", ""), ("a\udcff",)]
    assert len({receipt_path(tmp_path, line) for line in lines}) == len(lines)


def test_outputs_that_files_do_not_tell_have_no_receipt(tmp_path: Path) -> None:
    digest = Digest.parse(f"sha256:{'0' * 64}")
    layout = Output(kind=OutputKind.OCI_LAYOUT, path=tmp_path)
    archive = Output(kind=OutputKind.DOCKER_ARCHIVE, path=tmp_path / "a.tar")
    found = output_stamps([layout, archive], [digest])
    assert found is not None
    assert [Path(one[0]).relative_to(tmp_path).as_posix() for one in found] == [
        "index.json",
        f"blobs/sha256/{'0' * 64}",
        "a.tar",
    ]
    assert output_stamps([layout, Output(kind=OutputKind.STORAGE)], [digest]) is None
