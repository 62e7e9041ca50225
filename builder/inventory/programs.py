"""Well-known programs that no package database knows: told by their file name and a text inside them.

What these rules find is dropped where a package of the distribution owns the file (P2): its version says
nothing of the patches that the distribution put in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from builder.inventory.content import Readable
from builder.inventory.found import NOTHING, Found, Package, found
from builder.inventory.model import ComponentKind

_WINDOW = 4 << 20
_OVERLAP = 512
"""Bytes of the longest text that a pattern matches: windows overlap by them."""
_MAX_SEARCHED = 512 << 20

_V3 = rb"([0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4})"


@dataclass(frozen=True, slots=True)
class _Rule:
    """Files with a name like ``file`` are ``name``, in the version that ``text`` finds in them."""

    name: str
    file: re.Pattern[str]
    text: re.Pattern[bytes]


def _rule(name: str, file: str, *texts: bytes) -> _Rule:
    whole = b"|".join(b"(?:%s)" % text for text in texts)
    return _Rule(name, re.compile(file), re.compile(whole, re.DOTALL))


_RULES = (
    _rule(
        "python",
        r"(?:lib)?python[0-9.]*[a-z]*(?:\.so[0-9.]*)?",
        rb"\0([23]\.[0-9]{1,2}\.[0-9]{1,2}(?:(?:a|b|rc)[0-9]{1,2})?\+?)\0",
    ),
    _rule(
        "node",
        r"(?:node|nodejs|libnode\.so[0-9.]*)",
        rb"node\.js/v" + _V3,
        rb"\0v((?:1[0-9]|[2-9][0-9])\.[0-9]{1,3}\.[0-9]{1,3})\0",
    ),
    _rule(
        "openssl",
        r"(?:openssl|lib(?:ssl|crypto)\.so[0-9.]*)",
        rb"\0OpenSSL ([0-9]\.[0-9]\.[0-9]{1,3}(?:[a-z]{0,2}|-[a-z]{3,6}[0-9]{1,3})) ",
    ),
    _rule("busybox", r"busybox(?:\.[a-z]+)?", rb"BusyBox v" + _V3),
    _rule(
        "nginx",
        r"(?:nginx|openresty)",
        rb"nginx version: (?:nginx|openresty)/([0-9]+(?:\.[0-9]+){2,3})",
        rb"\0nginx/" + _V3,
    ),
    _rule(
        "redis",
        r"redis-(?:server|sentinel|cli|benchmark|check-rdb|check-aof)",
        rb"\0" + _V3 + rb"\0{1,8}(?:[^\0]{1,60}\0{1,8}){0,6}[0-9a-f]{8}\0",
        rb"redis_version:" + _V3,
        rb"[^0-9.]" + _V3 + rb"\0{1,8}Redis version",
        rb"\0" + _V3 + rb"\0{1,8}[^\0]{0,40}redis",
    ),
    _rule(
        "valkey",
        r"valkey-(?:server|sentinel|cli|benchmark|check-rdb|check-aof)",
        rb"\0" + _V3 + rb"\0{1,8}(?:[^\0]{1,60}\0{1,8}){0,6}[0-9a-f]{8}\0",
        rb"valkey_version:" + _V3,
    ),
    _rule(
        "perl",
        r"(?:perl[0-9.]*|libperl\.so[0-9.]*)",
        rb"/usr/(?:local/)?lib/[a-z0-9_./-]{0,80}?perl[0-9]*/([0-9]\.[0-9]{1,2}\.[0-9]{1,2})",
        rb"\0v?(5\.[0-9]{2}\.[0-9]{1,2})\0",
    ),
    _rule(
        "ruby",
        r"(?:ruby[0-9.]*|libruby[-0-9.]*\.so[0-9.]*)",
        rb"\0ruby ([0-9]\.[0-9]\.[0-9]{1,2})[ p(]",
    ),
    _rule(
        "php",
        r"(?:php[0-9.]*|php-(?:fpm|cgi|cli)[0-9.]*|libphp[0-9.]*\.so)",
        rb"X-Powered-By: PHP/([0-9]\.[0-9]{1,2}\.[0-9]{1,2}(?:(?:alpha|beta|RC)[0-9]{1,2})?)",
    ),
    _rule("httpd", r"(?:httpd|apache2)", rb"\0Apache/(2\.[0-9]\.[0-9]{1,3})"),
    _rule(
        "haproxy",
        r"haproxy",
        rb"HA-?Proxy version ([0-9]\.[0-9]{1,2}(?:\.[0-9]{1,3}|-dev[0-9]{1,3})?)",
        rb"\0([0-9]\.[0-9]{1,2}\.[0-9]{1,3})-[0-9a-f]{7,12}\0",
        rb"\0([23]\.[0-9]{1,2}\.[0-9]{1,3})(?:-[^\0]{1,40})?\0{1,8}[^\0]{0,16}20[0-9]{2}/[0-9]{2}/[0-9]{2}",
    ),
    _rule(
        "memcached",
        r"memcached",
        rb"memcached " + _V3,
        rb"\0(1\.[0-9]\.[0-9]{1,3})\0",
    ),
    _rule(
        "curl",
        r"(?:curl|libcurl(?:-[a-z]+)?\.so[0-9.]*)",
        rb"\0(?:lib)?curl[ /]([0-9]\.[0-9]{1,3}\.[0-9]{1,2})",
    ),
    _rule("bash", r"bash", rb"@\(#\)Bash version ([0-9]\.[0-9]{1,2}\.[0-9]{1,3})"),
    _rule(
        "postgresql",
        r"(?:postgres|pg_dump|psql)",
        rb"\(?PostgreSQL\)? ([0-9]{1,2}\.[0-9]{1,2}(?:\.[0-9]{1,2})?)",
    ),
    _rule("mysql", r"mysqld?", rb"mysql-([589]\.[0-9]{1,2}\.[0-9]{1,3})"),
    _rule("mariadb", r"(?:mariadbd?|mysqld?)", rb"(1[0-9]\.[0-9]{1,2}\.[0-9]{1,3})-MariaDB"),
    _rule("sqlite", r"(?:sqlite3|libsqlite3\.so[0-9.]*)", rb"\0(3\.[0-9]{1,2}\.[0-9]{1,2})\0"),
    _rule("git", r"git", rb"\0git/([0-9]\.[0-9]{1,2}\.[0-9]{1,3})\0", rb"\0(2\.[0-9]{2}\.[0-9]{1,3})\0"),
    _rule("lighttpd", r"lighttpd", rb"lighttpd/(1\.[0-9]\.[0-9]{1,3})"),
    _rule("varnish", r"varnishd", rb"varnish-([0-9]\.[0-9]{1,2}\.[0-9]{1,2}) revision"),
    _rule("erlang", r"(?:beam\.smp|erlexec)", rb"/usr/src/otp_src_([0-9]{2}\.[0-9](?:\.[0-9]{1,2})?)/"),
    _rule("zlib", r"libz\.so[0-9.]*", rb" (?:de|in)flate (1\.[0-9]{1,2}(?:\.[0-9]{1,2}){0,2}) Copyright"),
)


def known_program(content: Readable, path: str) -> Found:
    """Tell which well-known program an ELF file is, by its name and then by what it says of itself."""
    name = path.rpartition("/")[2]
    rules = [rule for rule in _RULES if rule.file.fullmatch(name)]
    return found(_program(rule.name, version) for rule in rules if (version := _version(content, rule.text)))


def java_release(content: Readable, path: str) -> Found:  # noqa: ARG001 (every reader is given the path)
    """Read the file ``release`` of a Java runtime."""
    if len(content) > _WINDOW:
        return NOTHING
    text = content[0 : len(content)].decode(errors="replace")
    fields = dict(re.findall(r'^([A-Z_]{1,40})="([^"\n]{0,200})"', text, re.MULTILINE))
    version = fields.get("JAVA_RUNTIME_VERSION") or fields.get("JAVA_VERSION", "")
    if not re.fullmatch(r"[0-9][0-9A-Za-z.+_-]{0,60}", version):
        return NOTHING
    name = "jdk" if fields.get("IMPLEMENTOR") == "Oracle Corporation" else "openjdk"
    return found([_program(name, version)])


def _program(name: str, version: str) -> Package:
    return Package(kind=ComponentKind.GENERIC, name=name, version=version, program=True)


def _version(content: Readable, text: re.Pattern[bytes]) -> str:
    for window in _windows(content):
        match = text.search(window)
        if match is not None:
            said = next((group for group in match.groups() if group), b"")
            return said.decode("ascii", "replace")
    return ""


def _windows(content: Readable) -> Iterator[bytes]:
    size = min(len(content), _MAX_SEARCHED)
    for start in range(0, size, _WINDOW):
        yield content[max(0, start - _OVERLAP) : start + _WINDOW]
