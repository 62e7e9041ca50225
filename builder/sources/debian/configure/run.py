"""What configuring packages on a fresh root comes to: dpkg's triggers aside, every postinst in its order.

Nothing of a package is run. docs/configuration.md says what is understood.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from builder.sources.debian.configure.alternatives import Alternatives
from builder.sources.debian.configure.commands import COMMANDS
from builder.sources.debian.configure.conditions import Verdict
from builder.sources.debian.configure.model import Configuration, Diversion, ScriptReport
from builder.sources.debian.configure.pam import lay_common_files
from builder.sources.debian.configure.shell import SHELLS, Handler, Shell
from builder.sources.debian.configure.system import System, TooMuchError
from builder.sources.debian.configure.sysusers import FOLDER as SYSUSERS
from builder.sources.debian.configure.sysusers import apply_sysusers
from builder.sources.debian.configure.tmpfiles import FOLDER as TMPFILES
from builder.sources.debian.configure.tmpfiles import apply_tmpfiles
from builder.sources.debian.configure.units import apply_unit, units_of
from builder.sysroot import Kind, Package, Sysroot

_SECTION = "# Automatically added by "
_SECTION_END = "# End automatically added section\n"
_SERVICES = frozenset(
    {
        *(
            "dh_installsystemd",
            "dh_installinit",
            "dh_installsystemduser",
            "dh_systemd_enable",
            "dh_systemd_start",
        ),
        *(
            "dh_installdeb",
            "dh_runit",
            "dh_python3",
            "dh_installmenu",
            "dh_installxmlcatalogs",
            "dh_apparmor",
        ),
        *("dh_icons", "dh_installudev", "dh_installmodules", "dh_makeshlibs", "dh_bugfiles"),
    }
)
"""Sections of debhelper that leave nothing in an image: services, byte code, earlier versions' conffiles."""
_NOTHING = re.compile(r"(?:^[ \t]*(?:#[^\n]*|set [^\n]*|exit 0|:)?\n)*", re.MULTILINE)
_DEPENDENCIES = re.compile(r"^(?:Pre-)?Depends:((?:[^\n]|\n[ \t])*)", re.MULTILINE)
_ESSENTIAL = re.compile("^Essential: yes$", re.MULTILINE)
_DEPENDENCY = re.compile(r"(?:^|[,|])\s*([a-z0-9][a-z0-9+.-]+)")
_ANSWER = re.compile(r"^Template:[ \t]*(\S+)((?:\n[^\n]+)*)", re.MULTILINE)
_CHOICES = re.compile(r"^Choices(?:-C)?:[ \t]*(.*)$", re.MULTILINE)
_DEFAULT = re.compile(r"^Default:[ \t]*(.*)$", re.MULTILINE)


def configure(packages: Iterable[Package], tree: Sysroot) -> Configuration:
    """What the scripts and settings of ``packages``, laid into ``tree``, would make of a fresh root."""
    ordered = in_order(packages)
    run = _Run(tree, alone=frozenset(package.name for package in ordered if package.alone))
    for package in ordered:
        run.script(package, "preinst", ("install",))
    for package in ordered:
        run.script(package, "postinst", ("configure", ""))
        run.settings(package.name)
    for package in ordered:
        run.units(package)
    return run.result()


def diversions(packages: Iterable[Package]) -> tuple[Diversion, ...]:
    """Every ``dpkg-divert --add`` of the packages' preinst scripts, by package."""
    found: list[Diversion] = []
    for package in packages:
        script = package.scripts.get("preinst", "")
        if "dpkg-divert" in script and SHELLS.match(script):
            system = System(Sysroot(()))
            Shell(system, package.name, _stripped(script), arguments=("install",), handlers=COMMANDS).run()
            found += system.diversions
    return tuple(found)


def in_order(packages: Iterable[Package]) -> list[Package]:
    """Packages so that each follows what it depends on, as dpkg configures them.

    Otherwise essential ones come first, then names decide.
    """
    by_name = sorted(packages, key=lambda package: package.name)
    by_name.sort(key=lambda package: _ESSENTIAL.search(package.control) is None)
    found = {package.name: package for package in by_name}
    ordered: dict[str, Package] = {}
    entered: set[str] = set()
    for start in found:
        pending = [start]
        while pending:
            name = pending[-1]
            if name in entered:
                ordered.setdefault(pending.pop(), found[name])
                continue
            entered.add(name)
            needed = [one for one in _needs(found[name]) if one in found and one not in entered]
            pending += needed[::-1]
    return list(ordered.values())


def _needs(package: Package) -> list[str]:
    fields = _DEPENDENCIES.findall(package.control)
    return [name for field in fields for name in _DEPENDENCY.findall(field)]


def _stripped(script: str) -> str:
    """The script without debhelper's sections about services; lines keep their numbers."""
    pieces: list[str] = []
    at = 0
    while (start := script.find(_SECTION, at)) >= 0 and (end := script.find(_SECTION_END, start)) >= 0:
        end += len(_SECTION_END)
        name = re.split(r"[/\s]", script[start + len(_SECTION) : start + len(_SECTION) + 40], maxsplit=1)[0]
        section = script[start:end]
        pieces += [script[at:start], "\n" * section.count("\n") if name in _SERVICES else section]
        at = end
    return "".join([*pieces, script[at:]])


class _Run:
    """One fresh root."""

    def __init__(self, tree: Sysroot, *, alone: frozenset[str]) -> None:
        self._tree = tree
        self._system = System(tree)
        self._alternatives = Alternatives(alone)
        self._reports: list[tuple[str, str, Shell]] = []
        self._settings = _settings(tree)
        self._units = units_of(tree)
        self._applied: set[str] = set()
        self._pam = ""
        architectures = {package.architecture for package in tree.packages.values()} - {"all"}
        self._architecture = architectures.pop() if len(architectures) == 1 else ""
        self._handlers: dict[str, Handler] = {
            **COMMANDS,
            "update-alternatives": self._alternatives.command,
            "systemd-sysusers": self._declared(SYSUSERS),
            "systemd-tmpfiles": self._declared(TMPFILES),
            "pam-auth-update": self._pam_auth_update,
        }

    def script(self, package: Package, name: str, arguments: tuple[str, ...]) -> None:
        """Follow one maintainer script."""
        text = package.scripts.get(name, "")
        if not text:
            return
        text = _stripped(text + "\n")
        if _NOTHING.fullmatch(text):
            return
        shell = self._shell(package.name, name, text, arguments)
        if not SHELLS.match(text):
            shell.unclear(1)
            return
        if "db_" in text:
            shell.answers = self._answers(package)
        shell.run()

    def settings(self, package: str) -> None:
        """Apply what the package declares and no script of it has applied."""
        for path in self._settings.get(package, ()):
            self._apply(path, package)

    def units(self, package: Package) -> None:
        """Make the folders of the package's services, of those that start by themselves first."""
        script = package.scripts.get("postinst", "")
        units = [(unit, _starts(unit.name, script)) for unit in self._units.get(package.name, ())]
        for unit, enabled in sorted(units, key=lambda one: not one[1]):
            text = "\n".join(self._system.read(path) for path in unit.files)
            if "Directory" in text:
                shell = self._shell(package.name, f"systemd/system/{unit.name}", text)
                try:
                    apply_unit(shell, unit, text, enabled=enabled)
                except TooMuchError:
                    shell.unclear()

    def result(self) -> Configuration:
        """Everything that came of it."""
        for action in self._system.deferred:
            action()
        self._alternatives.lay(self._system)
        if self._pam:
            lay_common_files(self._system, self._pam)
        system = self._system
        return Configuration(
            made=system.made(),
            asked=system.asked(),
            speakers={
                name: frozenset(packages)
                for name, packages in sorted(system.speakers.items())
                if name in system.users or name in system.groups
            },
            contents=system.known_contents(),
            removed=system.removed(),
            users=tuple(user for _, user in sorted(system.users.items())),
            groups=tuple(group for _, group in sorted(system.groups.items())),
            scripts=tuple(_report(*one) for one in self._reports if _has_words(one[2])),
        )

    def _shell(self, package: str, name: str, text: str, arguments: tuple[str, ...] = ()) -> Shell:
        shell = Shell(self._system, package, text, arguments=arguments, handlers=self._handlers)
        if self._architecture:
            shell.variables["DPKG_MAINTSCRIPT_ARCH"] = self._architecture
        self._reports.append((package, name, shell))
        return shell

    def _answers(self, package: Package) -> dict[str, str] | None:
        templates = package.scripts.get("templates")
        if templates is None:
            return None
        answers = _defaults(templates)
        config = package.scripts.get("config", "")
        if SHELLS.match(config):
            shell = Shell(
                self._system, package.name, config, arguments=("configure", ""), handlers=self._handlers
            )
            shell.answers = answers
            shell.run()
        return answers

    def _declared(self, folder: str) -> Handler:
        def command(shell: Shell, arguments: list[str]) -> Verdict:
            own = self._settings.get(shell.package, ())
            named = [word for word in arguments if not word.startswith("-")]
            # Without a name all files are applied; those of other packages have been, by their own scripts.
            for word in named or [path for path in own if path.startswith(f"{folder}/")]:
                path = word if word.startswith("/") else f"{folder}/{word}"
                if path in own:
                    self._apply(path, shell.package)
            return True

        return command

    def _apply(self, path: str, package: str) -> None:
        if path in self._applied:
            return
        self._applied.add(path)
        text = self._system.read(path)
        shell = self._shell(package, path.rpartition("/usr/lib/")[2], text)
        try:
            (apply_sysusers if path.startswith(SYSUSERS) else apply_tmpfiles)(shell, text)
        except TooMuchError:
            shell.unclear()

    def _pam_auth_update(self, shell: Shell, arguments: list[str]) -> Verdict:
        if "--remove" not in arguments:
            self._pam = self._pam or shell.package
            shell.say("makes /etc/pam.d/common-*")
        return True


def _settings(tree: Sysroot) -> Mapping[str, list[str]]:
    """Paths of sysusers.d and tmpfiles.d by package, accounts first."""
    found: dict[str, list[str]] = {}
    start = (f"{SYSUSERS}/", f"{TMPFILES}/")
    for node in tree:
        if node.path.startswith(start) and node.path.endswith(".conf") and node.kind is Kind.FILE:
            found.setdefault(node.package, []).append(node.path)
    return {package: sorted(paths) for package, paths in found.items()}


def _starts(unit: str, postinst: str) -> bool:
    """Whether debhelper's section switches the unit on (dh_installsystemd(1), without ``--no-enable``)."""
    return f"'{unit}'" in postinst and f"debian-installed '{unit}'" not in postinst


def _defaults(templates: str) -> dict[str, str]:
    """Questions and their default answers (debconf-devel(7))."""
    answers = {}
    for name, rest in _ANSWER.findall(templates):
        match = _DEFAULT.search(rest)
        answers[name] = match[1].strip() if match else ""
        choices = _CHOICES.search(rest)
        answers[f"{name} choices"] = choices[1].strip() if choices else ""
    return answers


def _has_words(shell: Shell) -> bool:
    findings = shell.findings
    return bool(findings.recognised or findings.not_made or findings.unrecognised)


def _report(package: str, name: str, shell: Shell) -> ScriptReport:
    findings = shell.findings
    return ScriptReport(
        package=package,
        script=name,
        recognised=tuple(findings.recognised),
        not_made=tuple(findings.not_made),
        unrecognised=tuple(sorted(findings.unrecognised.items())),
    )
