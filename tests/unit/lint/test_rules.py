"""Every rule for Dockerfiles: a file in which it speaks, with the line, and one in which it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.lint import recipe
from builder.lint.run import RULES, lint_dockerfile

DIGEST = "@sha256:" + "a" * 64
SMALL = f"FROM debian:13-slim{DIGEST}\n"
END = "USER app\n"


def remarks(text: str, *, ignore_file: bool = True) -> list[tuple[str, int]]:
    report = lint_dockerfile(text, "Dockerfile", has_ignore_file=ignore_file)
    return [(one.rule.id, one.line) for one in report.remarks]


def run(command: str) -> str:
    return f"{SMALL}RUN {command}\n{END}"


SPOKEN = [
    ("base-without-tag", 1, f"FROM example.com/app\n{END}", f"FROM example.com/app{DIGEST}\n{END}"),
    ("base-latest", 1, f"FROM example.com/app:latest\n{END}", f"FROM example.com/app:1{DIGEST}\n{END}"),
    ("base-not-pinned", 1, f"FROM example.com/app:1\n{END}", f"FROM scratch\n{END}"),
    ("base-end-of-life", 1, f"FROM debian:10-slim{DIGEST}\n{END}", f"{SMALL}{END}"),
    (
        "base-end-of-life",
        1,
        f"FROM docker.io/library/centos:7{DIGEST}\n{END}",
        f"FROM example.com/centos:7{DIGEST}\n{END}",
    ),
    ("base-end-of-life", 1, f"FROM python:3.9-slim{DIGEST}\n{END}", f"FROM python:3.13-slim{DIGEST}\n{END}"),
    ("base-huge", 1, f"FROM ubuntu:24.04{DIGEST}\n{END}", f"FROM node:24-alpine{DIGEST}\n{END}"),
    (
        "build-tools-in-image",
        1,
        f"FROM golang:1.26{DIGEST}\n{END}",
        f"FROM golang:1.26{DIGEST} AS b\nFROM scratch\n{END}",
    ),
    (
        "stage-name-twice",
        2,
        f"FROM scratch AS a\nFROM scratch AS a\n{END}",
        f"FROM scratch AS a\nFROM scratch AS b\n{END}",
    ),
    (
        "package-upgrade",
        2,
        run("apt-get update && apt-get -y upgrade"),
        run("apk add --no-cache --upgrade x=1"),
    ),
    ("package-upgrade", 3, run("true && \\\n  dnf -y update"), run("dnf -y update openssl && dnf clean all")),
    ("package-question", 2, run("apt-get install curl"), run("apt-get install -qq curl")),
    (
        "package-recommends",
        2,
        run("apt-get install -y x"),
        run("apt-get install -y --no-install-recommends x"),
    ),
    (
        "package-lists-left",
        2,
        run("apt-get install -y x"),
        run("apt-get install -y x && rm -rf /var/lib/apt/lists/*"),
    ),
    (
        "package-lists-left",
        2,
        run("apt-get install -y x"),
        run("--mount=type=cache,target=/var/lib/apt apt-get install -y x"),
    ),
    ("package-lists-left", 2, run("apk add x"), run("apk add --no-cache x")),
    ("package-lists-left", 2, run("dnf install -y x"), run("dnf install -y x && dnf clean all")),
    ("package-lists-left", 2, run("pip install x"), run("pip install --no-cache-dir x")),
    ("package-lists-stale", 2, run("apt-get update"), run("apt-get update && apt-get install -y x")),
    ("apt-for-people", 2, run("apt install -y x"), run("apt-get install -y x")),
    ("package-without-version", 2, run("apt-get install -y x"), run("apt-get install -y x=1.2")),
    (
        "package-without-version",
        2,
        run("pip install flask"),
        run("pip install --require-hashes -r requirements.txt"),
    ),
    ("package-without-version", 2, run("npm install -g yarn"), run("npm install -g yarn@1.22.0")),
    ("package-without-version", 2, run("gem install rails"), run("gem install rails:8.0")),
    (
        "package-unverified",
        2,
        run("apt-get install -y --allow-unauthenticated x"),
        run("apt-get install -y x"),
    ),
    ("build-packages-in-image", 2, run("apt-get install -y gcc libpq-dev"), run("apt-get install -y libpq5")),
    (
        "build-packages-in-image",
        2,
        run("apk add build-base"),
        f"FROM alpine:3.22{DIGEST} AS b\nRUN apk add build-base\nFROM scratch\nCOPY --from=b /x /x\n{END}",
    ),
    (
        "download-piped-to-shell",
        2,
        run("curl -fsSL https://x.test/i.sh | bash"),
        run("curl -o i.sh https://x.test/i.sh"),
    ),
    ("download-piped-to-shell", 2, run("wget -qO- https://x.test | sudo sh"), run("echo x | sh")),
    ("download-insecure", 2, run("curl -k https://x.test/a"), run("curl https://x.test/a")),
    (
        "download-insecure",
        2,
        run("wget http://x.test/a.tgz"),
        run("wget http://x.test/a.tgz && sha256sum -c sums"),
    ),
    (
        "download-unchecked",
        2,
        run("wget https://x.test/a.tar.gz"),
        run("wget https://x.test/a.tar.gz && sha256sum -c s"),
    ),
    (
        "pipe-without-pipefail",
        2,
        run("curl https://x.test | tar x"),
        run("set -o pipefail; curl https://x.test | tar x"),
    ),
    ("sudo", 2, run("sudo make"), run("make")),
    ("world-writable", 2, run("chmod -R 777 /srv"), run("chmod 1777 /srv/tmp")),
    ("world-writable", 2, run("chmod a+w /srv"), run("chmod u+w /srv")),
    ("setuid", 2, run("chmod 4755 /bin/x"), run("chmod 0755 /bin/x")),
    ("setuid", 2, run("chmod u+s /bin/x"), run("chmod u+x /bin/x")),
    ("cd-for-workdir", 2, run("cd /srv"), run("cd /srv && make")),
    (
        "removed-too-late",
        3,
        f"{SMALL}COPY key /root/key\nRUN use && rm /root/key\n{END}",
        run("touch /x && rm /x"),
    ),
    ("ssh-server", 2, run("apt-get install -y openssh-server"), run("apt-get install -y openssh-client")),
    (
        "add-url",
        2,
        f"{SMALL}ADD https://x.test/a /a\n{END}",
        f"{SMALL}ADD --checksum=sha256:1 https://x.test/a /a\n{END}",
    ),
    ("add-for-copy", 2, f"{SMALL}ADD app /app\n{END}", f"{SMALL}ADD app.tar.gz /app\n{END}"),
    ("secret-file", 2, f"{SMALL}COPY .env /srv/\n{END}", f"{SMALL}COPY .env.example /srv/\n{END}"),
    (
        "secret-file",
        2,
        f"{SMALL}COPY id_rsa /root/.ssh/\n{END}",
        f"{SMALL}COPY id_rsa.pub /root/.ssh/\n{END}",
    ),
    ("copy-many-no-slash", 2, f"{SMALL}COPY a b /srv\n{END}", f"{SMALL}COPY a b /srv/\n{END}"),
    (
        "copy-from-unknown",
        2,
        f"{SMALL}COPY --from=build /a /a\n{END}",
        f"{SMALL}COPY --from=x.test/a:1 /a /a\n{END}",
    ),
    (
        "copy-from-unknown",
        2,
        f"FROM scratch AS a\nCOPY --from=a /x /y\n{END}",
        f"FROM scratch AS a\nFROM scratch\nCOPY --from=a /x /y\n{END}",
    ),
    ("workdir-relative", 2, f"{SMALL}WORKDIR srv\n{END}", f"{SMALL}WORKDIR /srv\n{END}"),
    ("workdir-relative", 2, f"{SMALL}COPY a b\n{END}", f"{SMALL}WORKDIR /srv\nCOPY a b\n{END}"),
    (
        "secret-in-setting",
        2,
        f"{SMALL}ENV DB_PASSWORD=hunter2\n{END}",
        f"{SMALL}ENV DB_PASSWORD_FILE=/run/secrets/db\n{END}",
    ),
    ("secret-in-setting", 2, f"{SMALL}ENV apiToken abc\n{END}", f"{SMALL}ENV TOKENIZER abc\n{END}"),
    ("secret-in-setting", 2, f"{SMALL}LABEL a=AKIAABCDEFGHIJKLMNOP\n{END}", f"{SMALL}LABEL a=AKIA\n{END}"),
    ("secret-build-argument", 2, f"{SMALL}ARG NPM_TOKEN\n{END}", f"{SMALL}ARG VERSION\n{END}"),
    (
        "secret-in-command",
        2,
        run("git clone https://me:pass@git.test/x"),
        run("git clone https://git.test/x"),
    ),
    ("root", 2, f'{SMALL}CMD ["/app"]\n', f'FROM gcr.io/distroless/static:nonroot{DIGEST}\nCMD ["/app"]\n'),
    ("root", 3, f"{SMALL}USER app\nUSER 0:0\n", f"{SMALL}USER root\nUSER 10001\n"),
    ("setting-twice", 2, f'{SMALL}CMD ["a"]\nCMD ["b"]\n{END}', f'{SMALL}CMD ["a"]\n{END}'),
    ("shell-form", 2, f"{SMALL}ENTRYPOINT /app --x\n{END}", f"{SMALL}ENTRYPOINT exec /app\n{END}"),
    ("port", 2, f"{SMALL}EXPOSE 70000\n{END}", f"{SMALL}EXPOSE 8080/tcp\n{END}"),
    ("port", 2, f"{SMALL}EXPOSE 22\n{END}", f"{SMALL}EXPOSE $PORT\n{END}"),
    ("maintainer", 2, f"{SMALL}MAINTAINER me\n{END}", f"{SMALL}LABEL maintainer=me\n{END}"),
    ("useradd-log", 2, run("useradd -u 1000000 app"), run("useradd -l -u 1000000 app")),
]


@pytest.mark.parametrize(
    ("rule", "line", "wrong", "right"), SPOKEN, ids=[f"{one[0]} {at}" for at, one in enumerate(SPOKEN)]
)
def test_a_rule_speaks_where_it_should_and_nowhere_else(rule: str, line: int, wrong: str, right: str) -> None:
    assert (rule, line) in remarks(wrong)
    assert rule not in dict(remarks(right))


def test_every_rule_is_in_the_table() -> None:
    assert {rule.id for rule in RULES} == {one[0] for one in SPOKEN} | {"copy-everything"}


def test_the_whole_context_is_fine_with_an_ignore_file() -> None:
    text = f"{SMALL}WORKDIR /srv\nCOPY . .\n{END}"
    assert ("copy-everything", 3) in remarks(text, ignore_file=False)
    assert remarks(text) == []


@pytest.mark.parametrize(
    "comment",
    [
        "# rootlet ignore=download-insecure",
        "# hadolint ignore=DL3020,DL3007",
        "#rootlet ignore = base-latest , sudo",
    ],
)
def test_a_comment_above_ignores_rules_by_their_names_and_those_of_others(comment: str) -> None:
    text = f"{comment}\nFROM example.com/app:latest\n{comment}\n"
    text += f"RUN sudo \\\n curl -k https://x.test\nADD x /y\n{END}"
    found = dict(remarks(text))
    assert ("base-latest" in found) is ("download" in comment)
    assert ("download-insecure" in found) is ("download" not in comment)
    assert "add-for-copy" in found, "the comment is for the next instruction alone"


def test_here_documents_are_read_as_commands() -> None:
    text = f"{SMALL}RUN <<EOF\nset -e\napt-get install gcc=1\nEOF\n{END}"
    assert ("package-question", 4) in remarks(text)


def test_exec_form_is_read_as_commands() -> None:
    assert ("sudo", 2) in remarks(run('["sh", "-c", "sudo make"]'))


def test_rules_have_their_own_names_and_words() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert all(rule.title for rule in RULES)


def test_the_documentation_has_every_rule() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "lint.md").read_text(encoding="utf-8")
    for rule in (*RULES, *recipe.RULES):
        assert (
            f"| `{rule.id}` | {rule.severity.name.lower()} | {rule.title} | {', '.join(rule.also)} |" in text
        )
