"""Words of shells and Dockerfiles: what builders expand is escaped, and only that."""

from __future__ import annotations

import json
import shlex

import pytest

from builder.containerfile import quote
from builder.containerfile.script import MOST_BYTES, Command, runs
from builder.containerfile.settings import instructions, missing_form
from builder.oci import Healthcheck, ImageConfig

WORDS = {
    "a plain path stays as it is": ("usr/bin/x-1.2+b:~a@1%", "usr/bin/x-1.2+b:~a@1%"),
    "an empty word": ("", "''"),
    "a blank": ("a b", "'a b'"),
    "a hash is no comment": ("#x", "'#x'"),
    "a tilde in front": ("~x", "'~x'"),
    "a dollar": ("$HOME", "'$HOME'"),
    "an apostrophe": ("it's", "'it'\"'\"'s'"),
    "a backslash at the end continues nothing": ("a\\", "'a\\'"),
    "a word that looks like a heredoc": ("<<EOF", "'<<EOF'"),
    "letters of other alphabets": ("Főtanúsítvány", "'Főtanúsítvány'"),
}


@pytest.mark.parametrize("name", WORDS)
def test_a_word_of_the_shell(name: str) -> None:
    text, expected = WORDS[name]
    assert quote.shell_word(text) == expected
    assert shlex.split(expected) == [text]


INSTRUCTION = {
    "plain": ("/usr/bin:/bin", "/usr/bin:/bin"),
    "blanks": ("a b", '"a b"'),
    "a dollar": ("$A${B}", '"\\$A\\${B}"'),
    "quotes and backslashes": ('say "\\"', '"say \\"\\\\\\""'),
    "nothing": ("", '""'),
}


@pytest.mark.parametrize("name", INSTRUCTION)
def test_a_word_of_an_instruction(name: str) -> None:
    text, expected = INSTRUCTION[name]
    assert quote.instruction_word(text) == expected


def test_the_exec_form_is_json_and_nothing_is_expanded_in_it() -> None:
    words = ("/bin/x", "$A", 'a"b\\', "ü\n")
    assert json.loads(quote.exec_form(words)) == list(words)


def test_sources_of_copies_are_neither_variables_nor_wildcards() -> None:
    assert quote.path_form(["a$b\\"]) == '["a\\\\$b\\\\\\\\"]'
    assert quote.plain_part("a$b/c") == "a$b/c"
    assert quote.plain_part("a/b[1]/c") == "a"
    assert quote.plain_part("*.c") == ""


def lines(config: ImageConfig, base: ImageConfig | None = None) -> list[str]:
    return [line for one in instructions(config, base or ImageConfig()) for line in one]


CONFIGURATIONS = {
    "nothing": (ImageConfig(), []),
    "exec forms": (
        ImageConfig(entrypoint=("/a", "b c"), cmd=("$x",)),
        ['ENTRYPOINT ["/a", "b c"]', 'CMD ["$x"]'],
    ),
    "several variables are one instruction": (
        ImageConfig(env=(("A", "1"), ("B", "x y"))),
        ["ENV A=1 \\", '    B="x y"'],
    ),
    "labels": (ImageConfig(labels=(("a.b", "it's $5"),)), ['LABEL a.b="it\'s \\$5"']),
    "an account by name": (ImageConfig(user="redis"), ["# hadolint ignore=DL3066", "USER redis"]),
    "an account by number": (ImageConfig(user="65532:65532"), ["USER 65532:65532"]),
    "root on purpose": (ImageConfig(user="root"), ["# hadolint ignore=DL3002,DL3066", "USER root"]),
    "folders, ports and signals": (
        ImageConfig(
            workdir="/srv/a b", ports=("80/tcp", "53/udp"), volumes=("/d", "/e$"), stop_signal="SIGQUIT"
        ),
        [
            'WORKDIR "/srv/a b"',
            "EXPOSE 80/tcp",
            "EXPOSE 53/udp",
            'VOLUME ["/d", "/e\\\\$"]',
            "STOPSIGNAL SIGQUIT",
        ],
    ),
    "a health check by program": (
        ImageConfig(
            healthcheck=Healthcheck(
                test=("CMD", "/check", "now"),
                interval=90 * 10**9,
                timeout=1500 * 10**6,
                start_period=7,
                retries=2,
            )
        ),
        ['HEALTHCHECK --interval=90s --timeout=1500ms --start-period=7ns --retries=2 CMD ["/check", "now"]'],
    ),
    "a health check by shell": (
        ImageConfig(
            healthcheck=Healthcheck(test=("CMD-SHELL", "test -f /ok || exit 1"), interval=3600 * 10**9)
        ),
        ["HEALTHCHECK --interval=1h CMD test -f /ok || exit 1"],
    ),
    "no health check": (ImageConfig(healthcheck=Healthcheck(test=("NONE",))), ["HEALTHCHECK NONE"]),
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_configuration_as_instructions(name: str) -> None:
    config, expected = CONFIGURATIONS[name]
    assert lines(config) == expected


def test_of_a_base_only_what_differs_is_said() -> None:
    base = ImageConfig(
        entrypoint=("/old",), cmd=("x",), env=(("PATH", "/bin"),), workdir="/w", user="1", ports=("80/tcp",)
    )
    assert lines(base, base) == []
    same = ImageConfig(
        entrypoint=("/new",), cmd=("x",), env=base.env, workdir="/w", user="1", ports=("80/tcp", "81/tcp")
    )
    assert lines(same, base) == ["EXPOSE 81/tcp", 'ENTRYPOINT ["/new"]', 'CMD ["x"]']


UNSAYABLE = {
    "a label of several lines": (ImageConfig(labels=(("a", "b\nc"),)), ("image", "labels", "a")),
    "a variable with an escape": (ImageConfig(env=(("A", "\x1b[1m"),)), ("config", "env", "A")),
    "a volume with a line end": (ImageConfig(volumes=("/a\nb",)), ("config", "volumes")),
    "a shell command of two lines": (
        ImageConfig(healthcheck=Healthcheck(test=("CMD-SHELL", "a\nb"))),
        ("config", "healthcheck", "test"),
    ),
}


@pytest.mark.parametrize("name", UNSAYABLE)
def test_what_no_dockerfile_can_say_is_named_by_its_key(name: str) -> None:
    config, key = UNSAYABLE[name]
    assert [one for one, _ in missing_form(config)] == [key]


def test_tabs_and_json_escapes_can_be_said() -> None:
    config = ImageConfig(entrypoint=("a\nb",), env=(("A", "x\ty"),), labels=(("a", "ü"),))
    assert list(missing_form(config)) == []


def test_a_long_list_is_cut_so_that_the_kernel_takes_every_run() -> None:
    words = tuple(f"usr/share/{number:06}/{'x' * 80}" for number in range(5000))
    commented = tuple(word for path in words for word in ("# why", path))
    found = list(runs("Files.", [Command(start="cp -t /image", words=commented)]))
    assert len(found) > 1
    assert [run.title for run in found[:2]] == [("Files.",), ("Files. (continued)",)]
    said = [word for run in found for command in run.commands for word in command.words if word != "# why"]
    assert said == list(words)
    for run in found:
        script = "".join(f"    {line} \\\n" for command in run.commands for line in command.lines)
        bare = "".join(line for line in script.splitlines(keepends=True) if "# why" not in line)
        assert len(bare) <= MOST_BYTES
        assert all(not command.words[-1].startswith("# ") for command in run.commands)


def test_no_commands_are_no_run() -> None:
    assert list(runs("Files.", [])) == []
