"""Shell programs to values: what is one command, one word, one document; where reading stops."""

from __future__ import annotations

import pytest

from builder.shell.parse import MOST_TEXT, commands_of
from builder.shell.syntax import (
    AndOr,
    Case,
    For,
    Function,
    Group,
    If,
    Parameter,
    Pipeline,
    Simple,
    Substitution,
    Text,
    While,
)
from builder.shell.words import ShellSyntaxError

KINDS: dict[str, tuple[str, list[type]]] = {
    "simple commands by line": ("a\nb; c &\n# d\n", [Simple, Simple, Simple]),
    "lists and pipelines": ("a && b || c\n! a | b", [AndOr, Pipeline]),
    "compound commands": (
        "if a; then b; elif c; then d; else e; fi\nwhile a; do b; done\nuntil a\ndo b\ndone",
        [If, While, While],
    ),
    "for in its forms": (
        "for x in a b; do c; done\nfor x; do c; done\nfor x\nin a\ndo c; done",
        [For, For, For],
    ),
    "case in its forms": ("case $1 in (a|b) c;; *) d\nesac", [Case]),
    "functions": (
        "f() { a; }\ng ()\n{\n a\n}\nfunction h { a; }\ni() ( a )",
        [Function, Function, Function, Function],
    ),
    "groups": ("{ a; } 2>/dev/null\n(a; b)", [Group, Group]),
    "reserved words as arguments": ("echo if then fi }", [Simple]),
    "a comment is no word's part": ("echo a#b # c\n#d", [Simple]),
    "bash's brackets": ("[[ -n $x && $y ]] && a", [AndOr]),
}


@pytest.mark.parametrize("case", KINDS)
def test_commands(case: str) -> None:
    text, kinds = KINDS[case]
    assert [type(command) for command in commands_of(text)] == kinds


def words(text: str) -> Simple:
    (command,) = commands_of(text)
    assert isinstance(command, Simple)
    return command


def test_words_and_their_quotes() -> None:
    command = words("""x=1 y="$a b" cmd 'a b' "c${d:-e}f" g\\ h $(i j) `k` ${#l} "" """)
    assert [name for name, _ in command.assignments] == ["x", "y"]
    first, quoted, mixed, escaped, substituted, back, length, empty = command.words
    assert first == (Text("cmd"),)
    assert quoted == (Text("a b", quoted=True),)
    assert mixed[1] == Parameter("d", ":-", (Text("e", quoted=True),), quoted=True)
    assert escaped == (Text("g"), Text(" ", quoted=True), Text("h"))
    assert isinstance(substituted[0], Substitution)
    assert isinstance(back[0], Substitution)
    assert length == (Parameter("l", "#length"),)
    assert empty == (Text("", quoted=True),)


def test_documents_are_read_where_they_stand_and_skipped_later() -> None:
    text = "cat <<A <<-'B' > f\none $x\nA\n\ttwo $y\n\tB\nnext\n"
    first, second = commands_of(text)
    assert isinstance(first, Simple)
    assert isinstance(second, Simple)
    one, two, out = first.redirects
    assert one.target == (Text("one ", quoted=True), Parameter("x", quoted=True), Text("\n", quoted=True))
    assert two.target == (Text("two $y\n", quoted=True),)
    assert (out.operator, out.descriptor) == (">", -1)
    assert (second.line, second.words) == (6, ((Text("next"),),))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\nif b; then", 2),
        ("a\n\n'b", 3),
        ('"a', 1),
        ("$(a", 1),
        ("${a", 1),
        ("cat <<E\nx\n", 1),
        ("a )", 1),
        ("fi", 1),
        ("case a in b c", 1),
        ("for 1 in a; do b; done", 1),
        ("a >", 1),
        ("x" * (MOST_TEXT + 1), 1),
    ],
)
def test_what_is_no_program_has_a_line(text: str, line: int) -> None:
    with pytest.raises(ShellSyntaxError) as caught:
        list(commands_of(text))
    assert caught.value.line >= line
