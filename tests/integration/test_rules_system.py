"""Every rule of the system families: a real program runs in the planned image, and fails without the rule."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from builder.oci import Platform
from builder.reason import ReasonKind
from tests.support.rule_lab import Lab, Proof, make_lab

pytestmark = [pytest.mark.network, pytest.mark.tools]

TMP = "/tmp"  # noqa: S108 (inside the image)
PYTHON = ("python3-minimal", "libpython3-stdlib")
UNKNOWN_THREAD = """
import sys, threading, time
class Late:  # the interpreter ends the thread while this one sleeps at its own end
    def __del__(self, sleep=time.sleep):
        sleep(0.5)
sys.late = Late()
threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()
print("over", flush=True)
"""
HOME_KEY = r"""
import os, pty, sys
master, slave = pty.openpty()
os.dup2(slave, 0); os.dup2(slave, 1)
import readline
os.write(master, b"b\x1b[1~a\n")
print("read:", input(), file=sys.stderr)
"""
ANY_SERVICE = {
    f"/etc/pam.d/common-{kind}": f"{kind} required pam_permit.so\n"
    for kind in ("account", "auth", "password", "session")
}
LSPCI = "00:00.0 \n00: 86 80 37 12 00 00 00 00 02 00 00 06 00 00 00 00\n"

PROOFS = [
    Proof(
        rule="certificates",
        packages=PYTHON,
        argv=(
            "/usr/bin/python3",
            "-c",
            "import ssl; print('CAs:', len(ssl.create_default_context().get_ca_certs()))",
        ),
        expect=r"CAs: 1\d\d",
        without="CAs: 0",
    ),
    Proof(
        rule="openssl-configuration",
        packages=("ca-certificates",),
        keep=("/usr/bin/openssl",),
        argv=("/usr/bin/openssl", "req", "-x509", "-nodes", "-subj", "/CN=x", "-keyout", "/dev/null"),
        expect="BEGIN CERTIFICATE",
        without=r"openssl\.cnf",
    ),
    Proof(
        rule="openssl-modules",
        packages=("ca-certificates",),
        keep=("/usr/bin/openssl",),
        argv=("/usr/bin/openssl", "dgst", "-provider", "legacy", "-provider", "default", "-md4", "/dev/null"),
        expect="31d6cfe0d16ae931b73c59d7e0c089c0",
        without="unable to load provider legacy",
    ),
    Proof(
        rule="nss-tokens",
        packages=("poppler-utils",),
        argv=("/usr/bin/pdfsig", "-nssdir", TMP, "-list-nicks"),
        expect="bad database",  # there is none in /tmp: the cryptography was loaded
        without="Failure to load dynamic library",
    ),
    Proof(
        rule="unwinder",
        packages=PYTHON,
        argv=("/usr/bin/python3", "-c", UNKNOWN_THREAD),
        expect="over",
        without=r"libgcc_s\.so\.1 must be installed for pthread_exit to work",
    ),
    Proof(
        rule="name-service-modules",
        packages=("coreutils",),
        files={"/etc/nsswitch.conf": "passwd: compat\ngroup: compat\n"},
        argv=("/usr/bin/id", "-u", "root"),
        expect="^0$",
        without="no such user",
    ),
    Proof(
        rule="name-service-all",
        packages=("coreutils",),
        features=("nss",),
        files={"/etc/nsswitch.conf": "passwd: compat\ngroup: compat\n"},
        also=("name-service-modules",),
        argv=("/usr/bin/id", "-u", "root"),
        expect="^0$",
        without="no such user",
    ),
    Proof(
        rule="resolver-settings",
        packages=PYTHON,
        files={"/etc/hosts": "192.0.2.1 twice\n192.0.2.2 twice\n"},
        argv=("/usr/bin/python3", "-c", "import socket; print(socket.gethostbyname_ex('twice')[2])"),
        expect=r"\['192.0.2.1', '192.0.2.2'\]",
        without=r"\['192.0.2.1'\]",
    ),
    Proof(
        rule="network-names",
        packages=PYTHON,
        argv=(
            "/usr/bin/python3",
            "-c",
            "import socket as s; print(s.getservbyname('https'), s.getprotobyname('tcp'))",
        ),
        expect="443 6",
        without="service/proto not found",
    ),
    Proof(
        rule="rpc-names",
        packages=("libc-bin",),
        argv=("/usr/bin/getent", "rpc", "portmapper"),
        expect="100000",
    ),
    Proof(
        rule="locale-c-utf8",
        packages=("coreutils",),
        env={"LC_ALL": "C.UTF-8"},
        argv=("/usr/bin/wc", "-m"),
        stdin="é\n",
        expect="^2$",
        without="^3$",
    ),
    Proof(
        rule="locale-of-the-image",
        packages=("coreutils",),
        env={"LC_ALL": "de_DE.UTF-8"},
        argv=("/usr/bin/date", "-d", "2024-03-04", "+%A, %B"),
        expect="Montag, März",
        without="Monday, March",
    ),
    Proof(
        rule="locale-of-the-image-8-bit",
        packages=("coreutils",),
        env={"LC_ALL": "de_DE.ISO-8859-1"},
        argv=("/usr/bin/date", "-d", "2024-03-04", "+%A, %B"),
        expect="Montag, M\ufffdrz",
        without="Monday, March",
    ),
    Proof(
        rule="charsets-common",
        packages=("libxml2-utils",),
        also=("charsets",),
        argv=("/usr/bin/xmllint", "--encode", "UTF-8", "-"),
        stdin='<?xml version="1.0" encoding="CP1252"?><a>x</a>',
        expect="<a>x</a>",
        without="[Uu]nsupported encoding",
    ),
    Proof(
        rule="charsets",
        packages=("libxml2-utils",),
        argv=("/usr/bin/xmllint", "--encode", "UTF-8", "-"),
        stdin='<?xml version="1.0" encoding="SHIFT_JIS"?><a>x</a>',
        expect="<a>x</a>",
        without="[Uu]nsupported encoding",
    ),
    Proof(
        rule="time-zone-of-the-image",
        packages=("coreutils",),
        env={"TZ": "Europe/Berlin"},
        argv=("/usr/bin/date", "-d", "@0", "+%H %Z"),
        expect="01 CET",
        without="00 ",
    ),
    Proof(
        rule="time-zones",
        packages=("coreutils",),
        features=("timezones",),
        argv=("/usr/bin/date", "-u", "-d", 'TZ="Asia/Tokyo" 2024-01-01 09:00', "+%H:%M"),
        expect="00:00",
        without="09:00",
    ),
    Proof(
        rule="pam-configuration",
        packages=("pamtester",),
        files=ANY_SERVICE,
        argv=("/usr/bin/pamtester", "unknown-to-pam", "root", "authenticate"),
        expect="successfully authenticated",
    ),
    Proof(
        rule="pam-modules",
        packages=("pamtester",),
        files={"/etc/pam.d/lab": "auth [success=ok default=die] pam_permit.so\n"},
        argv=("/usr/bin/pamtester", "lab", "root", "authenticate"),
        expect="successfully authenticated",
        without="Module is unknown",
    ),
    Proof(
        rule="pam-module-settings",
        packages=("pamtester",),
        files={"/etc/pam.d/lab": "session required pam_env.so\n"},
        argv=("/usr/bin/pamtester", "lab", "root", "open_session"),
        expect="successfully opened",
        without="Permission denied",
    ),
    Proof(
        rule="gio-modules",
        packages=("python3-minimal", "python3-gi", "libsoup-3.0-0"),
        argv=(
            "/usr/bin/python3",
            "-c",
            "from gi.repository import Gio; print(Gio.TlsBackend.get_default().supports_tls())",
        ),
        expect="True",
        without="False",
    ),
    Proof(
        rule="typelibs",
        packages=("python3-minimal", "python3-gi"),
        argv=("/usr/bin/python3", "-c", "from gi.repository import GLib; print(GLib.MAJOR_VERSION)"),
        expect="^2$",
    ),
    Proof(
        rule="typelib-libraries",
        packages=("python3-minimal", "python3-gi"),
        argv=("/usr/bin/python3", "-c", "from gi.repository import Gio; print(Gio.Cancellable())"),
        expect="Cancellable",
    ),
    Proof(
        rule="gstreamer-plugins",
        packages=("gstreamer1.0-tools", "libgstrtspserver-1.0-0"),
        env={"GST_REGISTRY": f"{TMP}/registry"},
        argv=("/usr/bin/gst-inspect-1.0", "videotestsrc"),
        expect="Factory Details",
    ),
    Proof(
        rule="fonts",
        packages=("fontconfig",),
        env={"XDG_CACHE_HOME": TMP},
        argv=("/usr/bin/fc-list",),
        expect="DejaVu Sans",
        without="^$",
    ),
    Proof(
        rule="keyboard-layouts",
        packages=("libxkbcommon-tools",),
        argv=("/usr/bin/xkbcli", "compile-keymap", "--layout", "us"),
        expect="xkb_keymap",
    ),
    Proof(
        rule="alsa-configuration",
        packages=("alsa-utils",),
        argv=("/usr/bin/aplay", "-L"),
        expect="null",
        without=r"alsa\.conf",
    ),
    Proof(
        rule="terminals",
        packages=("ncurses-bin",),
        argv=("/usr/bin/tput", "-T", "xterm-256color", "colors"),
        expect="^256$",
        without="unknown terminal",
    ),
    Proof(
        rule="readline-keys",
        packages=PYTHON,
        env={"TERM": "dumb"},
        argv=("/usr/bin/python3", "-c", HOME_KEY),
        expect="read: ab",
    ),
    Proof(
        rule="magic-numbers",
        packages=("perl", "libfile-libmagic-perl"),
        argv=(
            "/usr/bin/perl",
            "-MFile::LibMagic",
            "-e",
            'print File::LibMagic->new->info_from_string("GIF89a")->{mime_type}',
        ),
        expect="image/gif",
    ),
    Proof(
        rule="mime-types",
        packages=PYTHON,
        features=("mime",),
        also=("python-data",),
        argv=("/usr/bin/python3", "-c", "import mimetypes; print(mimetypes.guess_type('x.chrt'))"),
        expect="application/vnd.kde.kchart|kchart",
        without="None",
    ),
    Proof(
        rule="device-names",
        packages=("pciutils",),
        files={"/etc/dump": LSPCI},
        argv=("/usr/bin/lspci", "-F", "/etc/dump"),
        expect="440FX",
        without="1237",
    ),
    Proof(
        rule="spelling-dictionaries",
        packages=("enchant-2",),
        argv=("/usr/bin/enchant-2", "-d", "en_US", "-l"),
        stdin="speling is fun\n",
        expect="speling",
        without="No dictionary available",
    ),
    Proof(
        rule="mysql-settings",
        packages=("mariadb-client",),
        argv=("/usr/bin/mariadb", "--print-defaults"),
        expect="--socket=",
        without="Can't read dir|^$",
    ),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    yield from make_lab(tmp_path_factory.mktemp("lab"))


@pytest.mark.parametrize("proof", PROOFS, ids=[proof.rule for proof in PROOFS])
def test_without_the_rule_the_program_fails(proof: Proof, lab: Lab) -> None:
    lab.check(proof)


OLDSTABLE = (
    "certificates",
    "unwinder",
    "locale-c-utf8",
    "network-names",
    "terminals",
    "openssl-modules",
    "pam-modules",
)


@pytest.mark.parametrize(
    "proof", [proof for proof in PROOFS if proof.rule in OLDSTABLE], ids=lambda p: p.rule
)
def test_the_rule_holds_on_debian_12_too(proof: Proof, lab: Lab) -> None:
    lab.check(replace(proof, suite="bookworm"))


def test_libraries_of_other_processors_are_found_in_their_folders(lab: Lab) -> None:
    recipe = Proof(rule="", packages=("git", "openssh-server", "openssl"), argv=(), expect="").recipe
    plan = lab.plan(replace(recipe, platform=Platform.parse("linux/arm64")))
    paths = {entry.path for layer in plan.layers for entry in layer.entries}
    folder = "/usr/lib/aarch64-linux-gnu"
    for name in ("libgcc_s.so.1", "gconv/SJIS.so", "ossl-modules/legacy.so", "security/pam_unix.so"):
        assert f"{folder}/{name}" in paths


BIG = re.compile(
    r"/usr/share/(?:fonts|zoneinfo|perl|perl5|python3)/.*|/usr/lib/python3.*|/usr/lib/.*/(?:gconv|security|perl.*|gio)/.*"
)


@pytest.mark.parametrize("package", ["redis-server", "busybox-static", "sqlite3", "nginx", "memcached"])
def test_small_images_stay_small(package: str, lab: Lab) -> None:
    recipe = Proof(rule="", packages=(package,), argv=(), expect="", drop=("/usr/share/memcached/**",)).recipe
    added = [entry for layer in lab.plan(recipe).layers for entry in layer.entries]
    added = [entry for entry in added if entry.reason.kind is ReasonKind.RULE]
    assert [entry.path for entry in added if BIG.fullmatch(entry.path)] == []
    assert sum(entry.size for entry in added) < 1_200_000
