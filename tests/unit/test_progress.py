"""What long work says, on a terminal, in a log and to a program."""

from __future__ import annotations

import io
import json
import threading

import pytest

from builder.progress import Bar, JsonLines, Plain, Progress, Silent, human_size
from builder.reason import Reason, ReasonKind

SIZES = {
    0: "0 B",
    999: "999 B",
    1000: "1.0 kB",
    7_249_999: "7.2 MB",
    999_949: "999.9 kB",
    999_950: "1.0 MB",
    999_999_999: "1.0 GB",
    12_345_678_901_234: "12345.7 GB",
}


@pytest.mark.parametrize("size", SIZES)
def test_sizes_for_people(size: int) -> None:
    assert human_size(size) == SIZES[size]


def drive(progress: Progress) -> None:
    progress.step("fetch")
    progress.advance(500, 2000)
    progress.note("odd \udcff name")
    progress.advance(3, 0, unit="files")
    progress.close()


def test_a_log_has_a_line_a_step() -> None:
    out = io.StringIO()
    drive(Plain(out))
    assert out.getvalue() == "· fetch\n! odd \udcff name\n"


def test_json_lines_are_objects() -> None:
    out = io.StringIO()
    drive(JsonLines(out))
    assert out.getvalue().isascii()
    assert [json.loads(line) for line in out.getvalue().splitlines()] == [
        {"event": "step", "text": "fetch"},
        {"event": "advance", "done": 500, "total": 2000, "unit": "B"},
        {"event": "note", "text": "odd \udcff name"},
        {"event": "advance", "done": 3, "total": 0, "unit": "files"},
        {"event": "end"},
    ]


def test_silence() -> None:
    drive(Silent())


def test_a_bar_is_one_line_that_is_wiped() -> None:
    out = io.StringIO()
    bar = Bar(out, columns=10)
    bar.step("x" * 100)
    bar.advance(500, 2000)
    bar.note("read this")
    bar.close()
    text = out.getvalue()
    assert "! read this\n" in text
    assert text.endswith("\r\x1b[K")
    assert all(len(part) <= 39 for part in text.replace("! read this\n", "").split("\r\x1b[K"))


def test_a_bar_is_redrawn_ten_times_a_second_at_most() -> None:
    out = io.StringIO()
    bar = Bar(out, columns=80)
    bar.step("fetch")
    for done in range(10_000):
        bar.advance(done, 10_000)
    assert out.getvalue().count("\x1b[K") < 20


@pytest.mark.parametrize("kind", [Plain, JsonLines])
def test_lines_of_many_threads_stay_whole(kind: type[Plain | JsonLines]) -> None:
    out = io.StringIO()
    progress = kind(out)
    threads = [
        threading.Thread(target=lambda: [progress.step("word " * 20) for _ in range(100)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(out.getvalue().splitlines())) == 1


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (Reason(ReasonKind.NEEDED, "/bin/x", "RUNPATH"), "DT_NEEDED of /bin/x (RUNPATH)"),
        (Reason(ReasonKind.ACCOUNTS), "accounts and groups"),
        (Reason(ReasonKind.CACHE, "", "glibc"), "index of the shared objects (glibc)"),
    ],
)
def test_a_reason_in_words(reason: Reason, words: str) -> None:
    assert str(reason) == words
