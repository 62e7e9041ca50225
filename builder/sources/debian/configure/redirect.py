"""Redirections: here-documents, input from files of the root, output into them (POSIX.1-2024, XCU 2.7)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from builder.shell.syntax import UNKNOWN, Redirect
from builder.sources.debian.configure.conditions import Verdict
from builder.sources.debian.configure.expand import expand_text

if TYPE_CHECKING:
    from builder.sources.debian.configure.shell import Shell

MADE_LATER = f"{UNKNOWN}made by a rule"
"""Output of a program whose file rootlet makes itself: it is no loss that its text is not known here."""
_QUIET = ("/dev/",)


def redirected(shell: Shell, redirects: Iterable[Redirect], action: Callable[[], Verdict]) -> Verdict:
    """Do ``action`` with its input and output where the redirections say."""
    scope = shell.scope()
    before = shell.input
    file: tuple[str, bool] | None = None
    silent = False
    for redirect in redirects:
        target = expand_text(redirect.target, scope)
        if redirect.operator in {"<<", "<<-", "<<<", "<"}:
            shell.input = shell.system.read(target) if redirect.operator == "<" else target
        elif redirect.descriptor in {-1, 1} and redirect.operator != "<&":
            silent = silent or target in {"2", "-"} or target.startswith(_QUIET)
            file = None if silent or target == "1" else (target, redirect.operator.endswith(">>"))
    if silent or file is not None:
        with shell.capturing() as captured:
            status = action()
    else:
        captured, status = [], action()
    shell.input = before
    if file is not None:
        path, append = file
        _write_file(shell, path, "".join(captured), append=append)
    return status


def _write_file(shell: Shell, path: str, text: str, *, append: bool) -> None:
    if text == MADE_LATER:
        return
    system = shell.system
    if not system.knows(path):
        shell.unclear()
        return
    place = system.place(path, follow=True)
    if append and system.get(place) is not None:
        text = system.read(place) + text
    mode = 0o666 & ~shell.umask
    if not system.write(place, text, package=shell.package, detail="written by its script", mode=mode):
        shell.unclear()
    elif not path.startswith("/tmp/"):  # noqa: S108 (a path inside the root)
        shell.say(f"writes {path}")
