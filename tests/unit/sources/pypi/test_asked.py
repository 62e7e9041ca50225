"""Requirements files and projects, as pip reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import ResolutionError
from builder.recipe.source_model import PythonSource
from builder.sources.pypi.asked import read_pyproject, read_requirements
from builder.sources.pypi.settings import Places, places_of, usual_index

SUM, OTHER = "a1" * 32, "b2" * 32


def test_a_requirements_file_is_read_as_pip_does(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "requirements.txt").write_text(
        "\ufeff# a comment\n--require-hashes\n\nflask == 3.0 \\\n"
        f"    --hash=sha256:{SUM} \\\n    --hash sha256:{OTHER}   # two of them\n"
        'idna>=3; python_version < "4"  # why\n'
        "-r sub/more.txt\n-c limits.txt\n--only-binary :all:\n"
        "pkg[a,b]\n",
        encoding="utf-8",
    )
    (tmp_path / "sub/more.txt").write_text(
        "x @ https://files.test/x-1-py3-none-any.whl#sha256=" + SUM + "\n-rdeep.txt"
    )
    (tmp_path / "sub/deep.txt").write_text("y==1")
    (tmp_path / "limits.txt").write_text("idna<4\n")
    wants = read_requirements(tmp_path / "requirements.txt")
    assert [(str(one.requirement), sorted(one.hashes), one.origin) for one in wants.requirements] == [
        ("flask==3.0", [SUM, OTHER], "requirements.txt:4"),
        ('idna>=3; python_version < "4"', [], "requirements.txt:7"),
        (f"x @ https://files.test/x-1-py3-none-any.whl#sha256={SUM}", [], "more.txt:1"),
        ("y==1", [], "deep.txt:1"),
        ("pkg[a,b]", [], "requirements.txt:11"),
    ]
    assert [str(one.requirement) for one in wants.constraints] == ["idna<4"]
    assert [path.name for path in wants.files] == ["requirements.txt", "more.txt", "deep.txt", "limits.txt"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("-e .", "requirements.txt:1: -e cannot be followed"),
        ("git+https://x.test/y.git", "is no requirement by name"),
        ("./local.whl", "is no requirement by name"),
        ("a==1\n--index-url https://x.test", "requirements.txt:2: --index-url in a requirements file"),
        ("a==1 --hash=md5:00", "is no sha256"),
        ("a==${VERSION}", "needs a variable"),
        ("-r requirements.txt", "in a circle"),
        ("-r gone.txt", "gone.txt cannot be read: No such file"),
        ("a ===", "is no requirement by name"),
    ],
)
def test_what_cannot_be_followed_is_said_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "requirements.txt").write_text(text)
    with pytest.raises(ResolutionError, match=words):
        read_requirements(tmp_path / "requirements.txt")


def test_a_project_has_dependencies_extras_and_groups(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text(
        '[project]\ndependencies = ["a>1"]\n[project.optional-dependencies]\nTLS = ["b"]\n'
        '[dependency-groups]\nrun = ["c", { include-group = "more" }]\nmore = ["d"]\n'
    )
    wants = read_pyproject(path, ("tls",), ("run",))
    assert [str(one.requirement) for one in wants.requirements] == ["a>1", "b", "c", "d"]
    for extras, groups, words in ((("x",), (), "no extra x"), ((), ("x",), "no dependency group x")):
        with pytest.raises(ResolutionError, match=words):
            read_pyproject(path, extras, groups)
    path.write_text("[build-system]\n")
    with pytest.raises(ResolutionError, match=r"no table \[project\]"):
        read_pyproject(path, (), ())
    path.write_text("[project\n")
    with pytest.raises(ResolutionError, match="no sound TOML"):
        read_pyproject(path, (), ())


def test_places_are_the_recipes_or_those_of_pips_settings(tmp_path: Path) -> None:
    home = {
        "HOME": str(tmp_path),
        "XDG_CONFIG_DIRS": str(tmp_path / "xdg"),
        "PIP_CONFIG_FILE": str(tmp_path / "own"),
    }
    usual = Places(indexes=(usual_index(),))
    plain = PythonSource(name="p")
    assert places_of(plain, {**home, "PIP_CONFIG_FILE": "/dev/null"}) == usual
    (tmp_path / "xdg/pip").mkdir(parents=True)
    (tmp_path / "xdg/pip/pip.conf").write_text(
        "[global]\nindex-url = https://a.test/simple/\nconstraint = /x\n"
        "extra-index-url =\n  https://b.test/s\n  file:///c\n"
    )
    assert places_of(plain, home) == Places(
        indexes=("https://a.test/simple", "https://b.test/s", "file:///c")
    )
    (tmp_path / "own").write_text(
        "[install]\nfind_links = /wheels\n[global]\nindex-url = https://own.test/s\n"
    )
    assert places_of(plain, home).indexes[0] == "https://own.test/s"
    assert places_of(plain, home).links == ("/wheels",)
    assert (
        places_of(plain, {**home, "PIP_INDEX_URL": "https://env.test/s"}).indexes[0] == "https://env.test/s"
    )
    assert places_of(plain, {**home, "PIP_NO_INDEX": "1"}).indexes == ()
    mine = PythonSource(name="p", index="https://mine.test", extra_indexes=("https://e.test",), links="/l")
    assert places_of(mine, home) == Places(indexes=("https://mine.test", "https://e.test"), links=("/l",))
