"""Pairs of versions, and what the ecosystems' own tools say of their order."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from builder.versions.schemes import scheme as scheme_of
from tests.support.tools import need

Pair = tuple[str, str]
Judge = Callable[[Sequence[Pair]], list[int]]

_MAVEN_JARS = ("/usr/share/java/maven-artifact-3.x.jar", "/usr/share/java/maven-artifact.jar")
_JAVA = """
import java.io.*;
import org.apache.maven.artifact.versioning.ComparableVersion;
public class Judge {
  public static void main(String[] none) throws IOException {
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
    for (String line; (line = in.readLine()) != null; ) {
      String[] pair = line.split("\\t", -1);
      ComparableVersion one = new ComparableVersion(pair[0]), other = new ComparableVersion(pair[1]);
      System.out.println(Integer.signum(one.compareTo(other)));
    }
  }
}
"""
_RUBY = """
STDIN.each_line do |line|
  one, other = line.chomp.split("\t", -1)
  puts Gem::Version.new(one) <=> Gem::Version.new(other)
end
"""
_LUA = """
for line in io.lines(os.getenv("PAIRS")) do
  local a, b = line:match("(.*)\\t(.*)") print(rpm.vercmp(a, b) .. "\\n")
end
"""
_PHP = r"""
require "Composer/Semver/autoload.php";
$parser = new Composer\Semver\VersionParser();
while (($line = fgets(STDIN)) !== false) {
  [$a, $b] = array_map([$parser, "normalize"], explode("\t", rtrim($line, "\n")));
  $less = Composer\Semver\Comparator::lessThan($a, $b);
  echo $less ? -1 : (Composer\Semver\Comparator::greaterThan($a, $b) ? 1 : 0), "\n";
}
"""
_NODE = """
const { compare } = require(process.argv[1]);
const lines = require("fs").readFileSync(0, "utf8").split("\\n").filter((l) => l);
console.log(lines.map((l) => compare(...l.split("\\t"))).join("\\n"));
"""


def _ask(pairs: Sequence[Pair], *command: str) -> list[int]:
    text = "".join(f"{one}\t{other}\n" for one, other in pairs)
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return [int(line) for line in done.stdout.split()]


def dpkg(pairs: Sequence[Pair]) -> list[int]:
    need("dpkg")
    return [_dpkg(*pair) for pair in pairs]


def _dpkg(one: str, other: str) -> int:
    def holds(relation: str) -> bool:
        return (
            subprocess.run(["dpkg", "--compare-versions", one, relation, other], check=False).returncode == 0
        )

    return -1 if holds("lt") else int(holds("gt"))


def rpm(pairs: Sequence[Pair]) -> list[int]:
    need("rpm")
    script = f"%{{lua:{_LUA}}}"
    text = "".join(f"{one}\t{other}\n" for one, other in pairs)
    done = subprocess.run(
        ["sh", "-c", 'cat >"$PAIRS" && rpm --eval "$0"; rm -f "$PAIRS"', script],
        env={"PAIRS": f"/tmp/rpm-pairs-{random.randrange(1 << 40)}", "PATH": "/usr/bin:/bin"},  # noqa: S108, S311
        input=text,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return [int(line) for line in done.stdout.split()]


def maven(pairs: Sequence[Pair]) -> list[int]:
    need("java", "javac")
    jar = next((path for path in _MAVEN_JARS if Path(path).exists()), None)
    if jar is None:
        need("maven-artifact.jar (libmaven3-core-java)")
    source = Path(f"/tmp/judge-{random.randrange(1 << 40)}/Judge.java")  # noqa: S108, S311
    source.parent.mkdir()
    try:
        source.write_text(_JAVA)
        return _ask(pairs, "java", "-cp", str(jar), str(source))
    finally:
        shutil.rmtree(source.parent)


def rubygems(pairs: Sequence[Pair]) -> list[int]:
    need("ruby")
    return _ask(pairs, "ruby", "-e", _RUBY)


def packagist(pairs: Sequence[Pair]) -> list[int]:
    need("php")
    if not Path("/usr/share/php/Composer/Semver").exists():
        need("php-composer-semver")
    return _ask(pairs, "php", "-r", _PHP)


def semver(pairs: Sequence[Pair]) -> list[int]:
    need("node")
    modules = ("/usr/lib/node_modules/npm/node_modules", "/usr/share/nodejs")
    folder = next((place for place in modules if Path(place, "semver/package.json").exists()), None)
    if folder is None:
        need("node-semver")
    return _ask(pairs, "node", "-e", _NODE, f"{folder}/semver")


def pep440(pairs: Sequence[Pair]) -> list[int]:
    version = pytest.importorskip("packaging.version").Version
    keys = [(version(one), version(other)) for one, other in pairs]
    return [(one > other) - (one < other) for one, other in keys]


JUDGES: Mapping[str, Judge] = {
    "dpkg": dpkg,
    "rpm": rpm,
    "maven": maven,
    "rubygems": rubygems,
    "packagist": packagist,
    "semver": semver,
    "pep440": pep440,
}


def pairs_of(scheme: str, count: int, seed: int) -> list[Pair]:
    """Give pairs that differ a little, so that every rule of the scheme decides one."""
    chance = random.Random(seed)  # noqa: S311
    found: list[Pair] = []
    while len(found) < count:
        one = _any(scheme, chance)
        other = _any(scheme, chance) if chance.random() < 0.3 else _near(scheme, one, chance)
        if _comparable(scheme, one) and _comparable(scheme, other):
            found.append((one, other))
    return found


def _any(scheme: str, chance: random.Random) -> str:
    return "".join(chance.choice(choices) for choices in _GRAMMARS[scheme])


def _near(scheme: str, one: str, chance: random.Random) -> str:
    at = chance.randrange(len(one) + 1)
    cut = at + chance.choice([0, 0, 1, 1, 2])
    return one[:at] + chance.choice(["", *_PIECES[scheme]]) + one[cut:]


def _comparable(scheme: str, text: str) -> bool:
    """Whether the tool itself takes it too: it may be stricter than rootlet."""
    form = _STRICT.get(scheme)
    return scheme_of(scheme).valid(text) and (form is None or form.fullmatch(text) is not None)


_FIRST = ("0", "1", "2", "9", "10", "01", "123")
_MORE = ("", "", ".0", ".1", ".9", ".10", ".01", ".123")
_STRICT_MORE = ("", ".0", ".1", ".9", ".10")
_WORDS = (
    *("alpha", "beta", "rc", "RC", "dev", "pre", "a", "b", "p", "post", "final", "ga", "sp", "snapshot", "m"),
    *("x", "cr", "milestone", "release", "0", "1", "01"),
)
_TAILS = ("", *(mark + word for mark in (".", "-", "") for word in _WORDS))
_TILDES = ("", "", "~", "^", ".", "+", "a", "0", "rc", "~rc1", "^1")
_GEM_TAILS = ("", "", *(mark + word for mark in ".-" for word in ("a", "b1", "rc", "pre", "0", "2")))
_STABILITY = (
    *("", "", "-alpha", "-beta2", ".RC1", "-rc.2", "p1", "-patch", "-dev", "-alpha3-dev", "_b", "-pl2"),
    "-stable",
)
_GRAMMARS: Mapping[str, Sequence[Sequence[str]]] = {
    "dpkg": (("", "1:"), _FIRST, _MORE, _MORE, _TILDES, _TILDES, ("", "-1", "-0", "-1+b2")),
    "rpm": (("", "0:", "1:"), _FIRST, _MORE, _MORE, _TILDES, _TILDES, ("", "-1.el9", "-0", "-1")),
    "maven": (_FIRST, _MORE, _MORE, _TAILS, _TAILS, _TAILS),
    "rubygems": (_FIRST, _MORE, _MORE, _MORE, _GEM_TAILS, _GEM_TAILS),
    "packagist": (("", "v"), "0129", _STRICT_MORE, _STRICT_MORE, _STRICT_MORE, _STABILITY),
    "semver": (
        *("0129", _STRICT_MORE[1:], _STRICT_MORE[1:]),
        ("", "-0.1", "-alpha", "-alpha.1", "-rc.10", "-rc.9", "-x-y", "-A", "-1"),
        ("", "", "+b.1"),
    ),
    "pep440": (
        *(("", "", "1!"), _FIRST, _MORE, _MORE, _MORE, ("", "a1", "b2", "rc1", ".alpha", "c3")),
        *(("", "", ".post1", "-2"), ("", "", ".dev3"), ("", "", "+ubuntu.1", "+1")),
    ),
}
_PIECES: Mapping[str, Sequence[str]] = {
    "dpkg": (*"019.+~-", "a", "rc", "1:", "deb12u1"),
    "rpm": (*"0129.~^-_", "a", "el9", "rc", "1:", "Z"),
    "maven": (*"019.-", "01", *_WORDS),
    "rubygems": (*"019.-", "a", "rc", "pre", "B"),
    "packagist": (*"019.-", "alpha", "beta", "RC", "p", "pl", "patch", "dev", "v", "a1", "b2"),
    "semver": (*"019.-", "alpha", "rc", "x", "A", "+b"),
    "pep440": (*"019.-_", "a1", "b", "rc2", ".dev1", ".post1", "-1", "1!", "+local", "c"),
}
_IDENTIFIER = r"(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)"
_STRICT = {
    "dpkg": re.compile(r"(\d+:)?\d[^:]*[^:-]"),
    "rpm": re.compile(r"(\d+:)?\w[^:-]*(-[^:-]+)?"),
    "semver": re.compile(
        rf"(?:(?:0|[1-9]\d*)\.){{2}}(?:0|[1-9]\d*)(?:-{_IDENTIFIER}(?:\.{_IDENTIFIER})*)?"
        r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
    ),
}
