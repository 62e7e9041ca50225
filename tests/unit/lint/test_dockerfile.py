"""Dockerfiles as values: what an instruction is, where it stands, and what is no Dockerfile."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import BuildError
from builder.lint.dockerfile import Dockerfile, is_dockerfile, parse_dockerfile
from builder.lint.run import lint_dockerfile


def parse(text: str) -> Dockerfile:
    return parse_dockerfile(text, "Dockerfile")


def test_continued_lines_comments_and_blanks_keep_the_lines_of_the_file() -> None:
    text = "FROM a:1\n# note\nRUN one && \\\n# between\n\n    two && \\\n    three\nUSER app\n"
    run, user = parse(text).final.instructions
    assert (run.line, user.line) == (3, 8)
    assert run.text.split("\n")[3].strip().startswith("two")


def test_flags_are_taken_off() -> None:
    copy = parse('FROM a\nCOPY --from=build --chown="a b" \\\n  --link /x /y\n').final.instructions[0]
    assert copy.flags == (("from", "build"), ("chown", "a b"), ("link", ""))
    assert (copy.arguments(), copy.line) == (("/x", "/y"), 3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param('["a", "b c"]', ("a", "b c"), id="a JSON array of strings"),
        pytest.param('["a", \\\n "b"]', ("a", "b"), id="over two lines"),
        pytest.param("['a']", None, id="single quotes are no JSON: a shell gets it"),
        pytest.param('["a", 1]', None, id="not only strings"),
        pytest.param("a b", None, id="shell form"),
    ],
)
def test_exec_form(text: str, words: tuple[str, ...] | None) -> None:
    assert parse(f"FROM a\nCMD {text}\n").final.instructions[0].words == words


def test_here_documents_belong_to_their_instruction() -> None:
    text = "FROM a\nRUN <<EOF bash\napt-get update\nUSER x\nEOF\n"
    text += 'COPY <<-"A" <<B /to/\n\tone\n\tA\ntwo\nB\nUSER y\n'
    run, copy, user = parse(text).final.instructions
    assert run.heredocs == ("apt-get update\nUSER x",)
    assert copy.heredocs == ("\tone", "two")
    assert user.line == 11


def test_stages_their_names_and_what_they_start_from() -> None:
    text = "ARG V=3\nARG B=debian:${V:-9}\nFROM ${B} AS Base\nFROM base AS two\nFROM $NONE\nFROM two\n"
    file = parse(text)
    assert [(one.name, one.image) for one in file.stages] == [
        ("base", "debian:3"),
        ("two", "base"),
        ("", ""),
        ("", "two"),
    ]
    assert [one.number for one in file.lineage(file.final)] == [3, 1, 0]


def test_another_escape_letter() -> None:
    file = parse("# escape=`\nFROM a\nRUN one `\n  two\nWORKDIR C:\\\nUSER x\n")
    assert [one.name for one in file.final.instructions] == ["RUN", "WORKDIR", "USER"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "it has no FROM", id="nothing"),
        pytest.param("RUN x\nFROM a\n", "Dockerfile:1: RUN stands before the first FROM", id="RUN first"),
        pytest.param("FROM a\nRUNN x\n", "Dockerfile:2: 'RUNN' is no instruction", id="an unknown word"),
        pytest.param("FROM a b c d\n", "Dockerfile:1: FROM takes an image", id="FROM with too much"),
        pytest.param(
            "FROM a\nRUN <<E\nx\n", "Dockerfile:2: the text that E should end", id="an endless text"
        ),
        pytest.param("FROM a\0", "it is not text", id="bytes"),
        pytest.param("FROM a\n" + "#" * (1 << 20), "more than", id="too much"),
    ],
)
def test_what_is_no_dockerfile_is_said_with_its_line(text: str, message: str) -> None:
    with pytest.raises(BuildError) as error:
        parse(text)
    assert message in error.value.message


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("Dockerfile", True),
        ("Containerfile", True),
        ("Dockerfile.web", True),
        ("web.dockerfile", True),
        ("image.tar", False),
        ("recipe.toml", False),
    ],
)
def test_files_that_are_dockerfiles_by_name(name: str, is_one: bool) -> None:
    assert is_dockerfile(name) is is_one


_LINES = st.sampled_from(
    [
        "FROM a",
        "FROM a AS b",
        "FROM b",
        "RUN ",
        "RUN x && \\",
        "# c",
        "",
        "COPY <<E /x",
        "E",
        "ENV A=",
        "CMD [",
        "  \\",
    ]
) | st.text(max_size=30)


@given(st.lists(_LINES, max_size=12))
def test_any_text_is_judged_or_refused(lines: list[str]) -> None:
    try:
        report = lint_dockerfile("\n".join(lines), "Dockerfile", has_ignore_file=False)
    except BuildError:
        return
    assert all(0 < one.line <= len(lines) for one in report.remarks)
