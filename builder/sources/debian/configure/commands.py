"""Every command of maintainer scripts that is understood, by name."""

from __future__ import annotations

from builder.shell.syntax import UNKNOWN
from builder.sources.debian.configure.conditions import Verdict
from builder.sources.debian.configure.files import FILE_COMMANDS, understood
from builder.sources.debian.configure.find import FIND_COMMANDS
from builder.sources.debian.configure.language import SHELL_COMMANDS
from builder.sources.debian.configure.model import Diversion
from builder.sources.debian.configure.options import read_arguments
from builder.sources.debian.configure.people import PEOPLE_COMMANDS
from builder.sources.debian.configure.redirect import MADE_LATER
from builder.sources.debian.configure.shell import Handler, Shell
from builder.sources.debian.configure.web import WEB_COMMANDS

_WITHOUT_MEANING = """
systemctl deb-systemd-helper deb-systemd-invoke invoke-rc.d update-rc.d service start-stop-daemon initctl
dpkg-maintscript-helper dpkg-trigger ucfr restorecon selinuxenabled kill killall pkill udevadm apparmor_parser
aa-enabled aa-status update-initramfs update-menus py3compile py3clean pycompile pyclean update-python-modules
ldconfig sysctl modprobe depmod setsebool runit-helper deluser delgroup userdel groupdel chfn stty sync
mount umount update-passwd shadowconfig update-shells add-shell remove-shell
"""
"""Services, the kernel, security modules, byte code (made on use), the library cache (made by rootlet)."""

_INDEXES = {
    "update-mime": "/etc/mailcap",
    "update-desktop-database": "the desktop database",
    "fc-cache": "the font cache",
    "mandb": "the index of manual pages",
    "locale-gen": "compiled locales",
    "update-locale": "/etc/default/locale",
    "validlocale": "compiled locales",
    "update-xmlcatalog": "XML catalogues",
    "update-catalog": "SGML catalogues",
    "update-perl-sax-parsers": "the list of Perl's SAX parsers",
    "update-ca-certificates": "the bundle of certificates (the feature certificates makes it)",
    "update-info-dir": "the directory of Info manuals",
    "install-info": "the directory of Info manuals",
    "update-fonts-dir": "font indexes",
    "update-fonts-scale": "font indexes",
    "update-fonts-alias": "font indexes",
    "update-texmf": "settings of TeX",
    "mktexlsr": "the index of TeX files",
    "update-dictcommon-aspell": "spelling dictionaries",
    "update-dictcommon-hunspell": "spelling dictionaries",
    "pg_updatedicts": "PostgreSQL dictionaries",
    "ssh-keygen": "keys of this host",
    "make-ssl-cert": "a certificate of this host",
    "newaliases": "the index of mail aliases",
    "systemd-hwdb": "the hardware database",
    "journalctl": "the index of messages",
    "jar_cache": "the class archive of Java",
}


_MADE_BY_RULES = """
update-mime-database glib-compile-schemas gdk-pixbuf-query-loaders gtk-query-immodules-2.0
gtk-query-immodules-3.0 gio-querymodules update-icon-caches gtk-update-icon-cache gtk-update-icon-cache-3.0
"""
"""What these write is made where something needs it (runtime/made/); lists of GIO and icons nothing needs."""


def _made_later(shell: Shell, _: list[str]) -> Verdict:
    shell.write(MADE_LATER)
    return True


def _index(what: str) -> Handler:
    def miss(shell: Shell, _: list[str]) -> Verdict:
        shell.miss(f"not made: {what}")
        shell.write(UNKNOWN)
        return True

    return miss


def divert(shell: Shell, arguments: list[str]) -> Verdict:
    """``dpkg-divert``: what another package ships at a path goes to another one."""
    read = read_arguments(arguments, ("package", "divert", "instdir", "admindir", "root"))
    if not understood(shell, arguments):
        return None
    if read.has("list", "listpackage", "truename"):
        if read.has("truename"):
            shell.write(f"{(*read.operands, '')[0]}\n")
        return True
    if read.has("remove") or len(read.operands) != 1:
        return True
    path = read.operands[0]
    package = "" if read.has("local") else read.value("package", default=shell.package)
    to = read.value("divert", default=f"{path}.distrib")
    if path.startswith("/") and to.startswith("/"):
        shell.system.diversions.append(Diversion(package=package, path=path, to=to))
        shell.say(f"diverts {path} to {to}")
    return True


COMMANDS: dict[str, Handler] = {
    **dict.fromkeys(_WITHOUT_MEANING.split(), lambda _, __: True),
    **dict.fromkeys(_MADE_BY_RULES.split(), _made_later),
    **{name: _index(what) for name, what in _INDEXES.items()},
    **SHELL_COMMANDS,
    **FILE_COMMANDS,
    **FIND_COMMANDS,
    **PEOPLE_COMMANDS,
    **WEB_COMMANDS,
    "dpkg-divert": divert,
}
