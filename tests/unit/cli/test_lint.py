"""``rootlet scan`` of a recipe or a Dockerfile: what is printed, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder.cli import main

BAD = "FROM scratch\nENV API_TOKEN=abc\nUSER app\n"


@pytest.fixture
def dockerfile(tmp_path: Path) -> Path:
    path = tmp_path / "Dockerfile"
    path.write_text(BAD)
    return path


def test_a_dockerfile_with_a_secret_is_refused(dockerfile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["scan", str(dockerfile)]) == 5
    captured = capsys.readouterr()
    assert captured.out.startswith(f"{dockerfile}:2: critical ENV API_TOKEN is a secret by its name")
    assert "secret-in-setting" in captured.err


def test_remarks_for_programs(dockerfile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["scan", str(dockerfile), "--format", "json", "--fail-on", "none"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [(one["rule"], one["line"], one["severity"]) for one in document["remarks"]] == [
        ("secret-in-setting", 2, "critical")
    ]


def test_a_rule_can_be_left_out(dockerfile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["scan", str(dockerfile), "--ignore", "secret-in-setting"]) == 0
    assert capsys.readouterr().out == f"{dockerfile}: nothing to say\n"


def test_a_rule_that_nobody_knows_is_said(dockerfile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["scan", str(dockerfile), "--ignore", "secrets"]) == 2
    assert "there is no rule secrets" in capsys.readouterr().err


def test_a_recipe_is_judged_as_it_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('schema = 1\nname = "x"\npackages = ["apt"]\n')
    assert main.run(["scan", str(path), "--fail-on", "medium"]) == 5
    assert f"{path}:3: medium apt lets whoever gets in install more" in capsys.readouterr().out


def test_a_recipe_that_is_wrong_is_a_wrong_recipe(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text("schema = 2\n")
    assert main.run(["scan", str(path)]) == 2


def test_what_is_no_dockerfile_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "Dockerfile"
    path.write_text("nothing\n")
    assert main.run(["scan", str(path)]) == 4
    assert "'nothing' is no instruction of a Dockerfile" in capsys.readouterr().err
