"""The proof of each rule of a server, its settings or its compiler: a real program breaks without it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.rule_lab import NATIVE, Lab, Proof, make_lab

pytestmark = [pytest.mark.network, pytest.mark.tools]

_SCRATCH = "/tmp"  # noqa: S108 (inside the image)
_HOME = {"HOME": _SCRATCH}
_JAVA = f"/usr/lib/jvm/java-21-openjdk-{NATIVE.partition('/')[2]}/bin/java"

PROOFS = [
    Proof(
        rule="postfix-programs",
        packages=("postfix",),
        files={"/etc/postfix/main.cf": "compatibility_level = 3.6\n", "/etc/postfix/master.cf": ""},
        argv=("sh", "-c", "postfix status; test $? = 1 && echo asked"),
        expect="asked",
        without="No such file",
    ),
    Proof(
        rule="mariadb-install",
        packages=("mariadb-server",),
        argv=("mariadb-install-db", "--no-defaults", f"--datadir={_SCRATCH}/data", "--force"),
        user="65534",
        expect="OK",
        without="No such file",
    ),
    Proof(
        rule="lighttpd-shell-settings",
        packages=("lighttpd",),
        argv=("lighttpd", "-p", "-f", "/etc/lighttpd/lighttpd.conf"),
        expect="text/html",
        without="No such file",
    ),
    Proof(
        rule="varnish-programs",
        packages=("varnish",),
        argv=("varnishd", "-d", "-T", "none", "-a", "127.0.0.1:0", "-b", "none", "-n", f"{_SCRATCH}/v"),
        stdin="quit\n",
        user="65534",
        expect="launch worker process",
        without="rm -rf",
    ),
    Proof(
        rule="c-compiler",
        packages=("gcc", "libc6-dev"),
        files={"/t.c": "#include <stdio.h>\nint main(void) { return puts(__FILE__); }\n"},
        argv=("gcc", "-v", "-o", f"{_SCRATCH}/t", "/t.c"),
        expect="collect2",
        without="cc1",
    ),
    Proof(
        rule="files-of-settings",
        packages=("bind9",),
        argv=("named-checkconf", "-z"),
        expect="",
        without=r"root\.hints",
    ),
    Proof(
        rule="java-program",
        packages=("tomcat10",),
        argv=(_JAVA, "-cp", "/usr/share/tomcat10/lib/catalina.jar", "org.apache.catalina.util.ServerInfo"),
        expect="Apache Tomcat/10",
        without="No such file",
    ),
    Proof(
        rule="erlang-program",
        packages=("rabbitmq-server",),
        argv=("erl", "-noshell", "-eval", 'io:format("~s~n", [code:root_dir()]), halt().'),
        env=_HOME,
        expect="/usr/lib/erlang",
        without="No such file",
    ),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One lab for all proofs."""
    yield from make_lab(tmp_path_factory.mktemp("lab"))


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.rule)
def test_without_it_a_program_breaks(lab: Lab, proof: Proof) -> None:
    lab.check(proof)


def test_apache_runs_the_php_module_that_its_package_switches_on(lab: Lab) -> None:
    proof = Proof(
        rule="",
        packages=("apache2", "libapache2-mod-php"),
        argv=("apache2", "-M"),
        env=dict.fromkeys(
            ("APACHE_RUN_DIR", "APACHE_LOG_DIR", "APACHE_LOCK_DIR", "APACHE_PID_FILE"), _SCRATCH
        )
        | {"APACHE_RUN_USER": "www-data", "APACHE_RUN_GROUP": "www-data"},
        expect="php_module",
    )
    status, output = lab.run(proof)
    assert status == 0, output
    assert "php_module" in output
    assert "mpm_prefork_module" in output
