"""sysusers.d, tmpfiles.d, alternatives, PAM, PHP, Apache, and what is remembered."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import ResolutionError
from builder.sources.debian.configure.lay import lay
from builder.sources.debian.configure.model import Configuration
from builder.sources.debian.configure.remember import configured as remembered
from builder.sources.debian.tree import merged_tree
from builder.sysroot import Package
from tests.support.configuring import Files, configured, lines, package, unrecognised
from tests.support.packages import Dir, File, Link, make_package

SYSUSERS = """
# a comment
u  redis   -        "Redis server" /var/lib/redis
u! web     33:www   -              /srv            /bin/sh
g  www     900
u  fixed   601      "A fixed one"
m  redis   adm
m  redis   fresh
r  -       500-900
x  broken
u  "open quote
"""


def settings(folder: Path, kind: str, text: str, files: Files | None = None) -> Configuration:
    path = f"/usr/lib/{kind}.d/app.conf"
    return configured(folder, package(folder, "app", {path: File(content=text.encode()), **(files or {})}))


def test_sysusers(tmp_path: Path) -> None:
    found = settings(tmp_path, "sysusers", SYSUSERS)
    assert lines(found) == [
        "user fixed 601 fixed / /usr/sbin/nologin 'A fixed one'",
        "user redis - redis /var/lib/redis /usr/sbin/nologin 'Redis server' +adm,fresh",
        "user web 33 www /srv /bin/sh",
        "group fixed 601",
        "group fresh -",
        "group redis -",
        "group www 900",
    ]
    assert [number for number, _ in unrecognised(found)] == [10, 11]


@pytest.mark.parametrize("words", ["", " app.conf", " /usr/lib/sysusers.d/app.conf"])
def test_accounts_are_there_for_the_rest_of_a_script_that_asks_for_them(tmp_path: Path, words: str) -> None:
    files = {
        "/usr/lib/sysusers.d/app.conf": File(content=b"u app - - /srv\n"),
        "/etc/app.conf": File(content=b"secret"),
    }
    script = f"systemd-sysusers{words}\nchown root:app /etc/app.conf\nchmod 640 /etc/app.conf\n"
    found = configured(tmp_path, package(tmp_path, "app", files, postinst=script))
    assert "/etc/app.conf 640 root:app" in "\n".join(lines(found)).replace("0640", "640")
    assert unrecognised(found) == []


TMPFILES = """
d  /run/app      0750 daemon adm  10d
D! /run/boot     0755 root   root -
d  %S/app        -    -      -    -
f  /etc/app.conf 0640 root   adm  -  one\\ntwo
f  /etc/there    0600 -      -    -  other
L  /etc/link     -    -      -    -  ../usr/x
L+ /etc/over     -    -      -    -  /etc/app.conf
L? /etc/lost     -    -      -    -  /nowhere
C  /etc/skel     -    -      -    -
e  /var/lib/e*   0700 daemon -    -
z  /etc/there    0604 -      -    -
Z  /usr/share/t  -    daemon -    -
x  /tmp/%b
d  /run/%m
d  /run/who      0755 nobody-knows root -
? /nonsense
"""


def test_tmpfiles(tmp_path: Path) -> None:
    files: Files = {
        "/etc/there": File(content=b"x"),
        "/etc/over": File(content=b"x"),
        "/usr/share/factory/etc/skel/a": File(content=b"a"),
        "/var/lib/exists": Dir(),
        "/usr/share/t/u": File(),
    }
    found = settings(tmp_path, "tmpfiles", TMPFILES, files)
    assert lines(found) == [
        "/etc/app.conf 0640 root:adm",
        "/etc/link -> ../usr/x",
        "/etc/over -> /etc/app.conf",
        "/etc/skel/ 0755 root:root",
        "/etc/skel/a 0644 root:root",
        "/etc/there 0604 root:root changed",
        "/run/app/ 0750 daemon:adm",
        "/run/who/ 0755 root:root",
        "/usr/share/t/ 0755 daemon:0 changed",
        "/usr/share/t/u 0644 daemon:root changed",
        "/var/lib/app/ 0755 root:root",
        "/var/lib/exists/ 0700 daemon:root changed",
    ]
    assert found.contents == {"/etc/app.conf": b"one\ntwo"}
    assert [number for number, _ in unrecognised(found)] == [15, 16, 17]


def _alternative(folder: Path, name: str, priority: int, target: str, rest: str = "") -> Package:
    files = {target: File(mode=0o755), f"/usr/share/man/{name}.gz": File()}
    text = f"update-alternatives --quiet --install /usr/bin/awk awk {target} {priority} {rest}"
    return package(folder, name, files, postinst=text)


SLAVES = (
    "--slave /usr/share/man/awk.gz awk.gz /usr/share/man/mawk.gz "
    "--slave /usr/bin/nawk nawk /usr/bin/mawk --slave /usr/bin/lost lost /nowhere"
)


@pytest.mark.parametrize(
    ("priorities", "winner"),
    [
        pytest.param((5, 10), "/usr/bin/gawk", id="the highest priority"),
        pytest.param((50, 10), "/usr/bin/mawk", id="the other one"),
        pytest.param((-5, -10), "/usr/bin/mawk", id="below zero"),
        pytest.param((7, 7), "/usr/bin/gawk", id="of two that are equal the one configured first"),
    ],
)
def test_alternatives_of_all_packages_together(
    tmp_path: Path, priorities: tuple[int, int], winner: str
) -> None:
    mawk = _alternative(tmp_path, "mawk", priorities[0], "/usr/bin/mawk", SLAVES)
    gawk = _alternative(tmp_path, "gawk", priorities[1], "/usr/bin/gawk")
    found = {made.node.path: made for made in configured(tmp_path, mawk, gawk).made}
    assert found["/etc/alternatives/awk"].node.target == winner
    assert found["/usr/bin/awk"].node.target == "/etc/alternatives/awk"
    assert found["/usr/bin/awk"].package == winner.rpartition("/")[2]
    assert ("/usr/bin/nawk" in found) is (winner == "/usr/bin/mawk")
    assert "/usr/bin/lost" not in found


def test_an_alternative_replaces_no_file_and_needs_a_target(tmp_path: Path) -> None:
    real = package(tmp_path, "real", {"/usr/bin/awk": File(mode=0o755)})
    mawk = _alternative(tmp_path, "mawk", 5, "/usr/bin/mawk")
    assert configured(tmp_path, real, mawk).made == ()
    lost = package(tmp_path, "lost", postinst="update-alternatives --install /usr/bin/x x /usr/bin/lost 5")
    assert configured(tmp_path, lost).made == ()


TEMPLATE = """# kept
# here are the per-package modules (the "Primary" block)
${KIND}_primary
# here's the fallback if no module succeeds
auth	requisite			pam_deny.so
# and here are more per-package modules (the "Additional" block)
${KIND}_additional
# end of pam-auth-update config
"""
UNIX = """Name: Unix authentication
Default: yes
Priority: 256
Auth-Type: Primary
Auth:
	[success=end default=ignore]	pam_unix.so nullok try_first_pass
Auth-Initial:
	[success=end default=ignore]	pam_unix.so nullok
Session-Type: Additional
Session:
	required	pam_unix.so
"""
KRB = """Name: Kerberos
Default: yes
Priority: 704
Auth-Type: Primary
Auth:
	[success=end default=ignore]	pam_krb5.so use_first_pass
Auth-Initial:
	[success=end default=ignore]	pam_krb5.so
Session-Interactive-Only: yes
Session-Type: Additional
Session:
	optional	pam_krb5.so
"""
OFF = "Name: Off\nDefault: no\nPriority: 900\nAuth-Type: Primary\nAuth:\n\trequired pam_off.so\n"


def test_pam_auth_update(tmp_path: Path) -> None:
    names = ("auth", "account", "password", "session", "session-noninteractive")
    files: Files = {
        **{f"/usr/share/pam/common-{name}": File(content=TEMPLATE.encode()) for name in names},
        "/usr/share/pam-configs/unix": File(content=UNIX.encode()),
        "/usr/share/pam-configs/krb5": File(content=KRB.encode()),
        "/usr/share/pam-configs/off": File(content=OFF.encode()),
        "/etc/pam.d": Dir(),
    }
    found = configured(
        tmp_path, package(tmp_path, "pam", files, postinst="pam-auth-update --package --force")
    )
    auth = found.contents["/etc/pam.d/common-auth"].decode().splitlines()
    assert auth == [
        "# kept",
        '# here are the per-package modules (the "Primary" block)',
        "auth\t[success=2 default=ignore]\tpam_krb5.so ",
        "auth\t[success=1 default=ignore]\tpam_unix.so nullok try_first_pass",
        "# here's the fallback if no module succeeds",
        "auth\trequisite\t\t\tpam_deny.so",
        '# and here are more per-package modules (the "Additional" block)',
        "# end of pam-auth-update config",
    ]
    assert "account\t[default=1]\t\t\tpam_permit.so" in found.contents["/etc/pam.d/common-account"].decode()
    assert "pam_krb5" in found.contents["/etc/pam.d/common-session"].decode()
    assert "pam_krb5" not in found.contents["/etc/pam.d/common-session-noninteractive"].decode()


PHP_COMMON = """
if [ "$1" = "configure" ]; then
    inidir=/etc/php/8.4/mods-available
    if [ -e /usr/lib/php/php-maintscript-helper ] ; then
        . /usr/lib/php/php-maintscript-helper
        for dsoname in pdo ctype; do
            inifile=${dsoname}.ini
            ucf /usr/share/php8.4-common/common/${inifile} ${inidir}/${inifile}
            ucfr --force php8.4-common ${inidir}/${inifile}
            if [ -f "${inidir}/${inifile}.dpkg-new" ]; then
                md5sum="$(md5sum ${inidir}/${inifile}.dpkg-new | sed -e 's/ .*//')"
            fi
            php_invoke enmod 8.4 ALL ${dsoname}
        done
    fi
fi
"""
PHP_FPM = """
if [ "$1" = "configure" ]; then
    ucf /usr/lib/php/8.4/php.ini-production /etc/php/8.4/fpm/php.ini
    if [ -e /usr/lib/php/php-maintscript-helper ]; then
        . /usr/lib/php/php-maintscript-helper
        mods=$(phpquery -M -v 8.4)
        for mod in $mods; do
            php_invoke enmod 8.4 fpm $mod
        done
    fi
fi
"""


def test_php_modules_are_switched_on_for_every_interface(tmp_path: Path) -> None:
    common = package(
        tmp_path,
        "php8.4-common",
        {
            "/usr/lib/php/php-maintscript-helper": File(),
            "/usr/share/php8.4-common/common/pdo.ini": File(content=b"; priority=10\nextension=pdo.so\n"),
            "/usr/share/php8.4-common/common/ctype.ini": File(content=b"extension=ctype.so\n"),
            "/usr/lib/php/8.4/sapi/cli": File(),
            "/etc/php/8.4/cli/conf.d": Dir(),
        },
        postinst=PHP_COMMON,
    )
    fpm = package(
        tmp_path,
        "php8.4-fpm",
        {
            "/usr/lib/php/8.4/sapi/fpm": File(),
            "/etc/php/8.4/fpm/conf.d": Dir(),
            "/usr/lib/php/8.4/php.ini-production": File(content=b"ini"),
        },
        depends="php8.4-common",
        postinst=PHP_FPM,
    )
    found = configured(tmp_path, common, fpm)
    links = [line for line in lines(found) if "->" in line]
    assert links == [
        f"/etc/php/8.4/{sapi}/conf.d/{name} -> /etc/php/8.4/mods-available/{name[3:]}"
        for sapi in ("cli", "fpm")
        for name in ("10-pdo.ini", "20-ctype.ini")
    ]
    assert "/etc/php/8.4/fpm/php.ini 0644 root:root" in lines(found)
    assert unrecognised(found) == []


APACHE = """#!/bin/bash
is_fresh_install() {
	if [ -z "$2" ] ; then
		return 0
	fi
	return 1
}
enable_default_modules() {
	if is_fresh_install $@; then
		for module in mpm_event \\
				autoindex ; do
			a2enmod -m -q $module
		done
		a2ensite -q 000-default
	fi
}
case "$1" in
	configure)
		enable_default_modules $@
	;;
esac
"""


def test_apache_modules_and_sites(tmp_path: Path) -> None:
    names = ("autoindex", "dir", "mpm_event", "mpm_prefork", "php8.4")
    files: dict[str, Dir | File | Link] = {
        f"/etc/apache2/mods-available/{name}.load": File(content=b"LoadModule\n") for name in names
    }
    files["/etc/apache2/mods-available/autoindex.load"] = File(content=b"# Depends: dir\nLoadModule\n")
    files["/etc/apache2/mods-available/dir.conf"] = File()
    files["/etc/apache2/sites-available/000-default.conf"] = File()
    files |= {f"/etc/apache2/{kind}-enabled": Dir() for kind in ("mods", "sites")}
    apache = package(tmp_path, "apache2", files, postinst=APACHE)
    found = [line.removeprefix("/etc/apache2/") for line in lines(configured(tmp_path, apache))]
    assert found == [
        "mods-enabled/autoindex.load -> ../mods-available/autoindex.load",
        "mods-enabled/dir.conf -> ../mods-available/dir.conf",
        "mods-enabled/dir.load -> ../mods-available/dir.load",
        "mods-enabled/mpm_event.load -> ../mods-available/mpm_event.load",
        "sites-enabled/000-default.conf -> ../sites-available/000-default.conf",
    ]
    # A module that is configured before Apache waits for it.
    text = "apache2_switch_mpm prefork\napache2_invoke enmod php8.4\napache2_invoke dissite 000-default"
    module = package(tmp_path, "a-module", postinst=text)
    both = [line.partition(" ")[0].rpartition("/")[2] for line in lines(configured(tmp_path, apache, module))]
    assert both == ["autoindex.load", "dir.conf", "dir.load", "mpm_prefork.load", "php8.4.load"]


def test_diversions_keep_two_files_of_one_name_apart(tmp_path: Path) -> None:
    files: Files = {"/usr/bin/pg_config": File(content=b"perl", mode=0o755)}
    text = (
        'if [ "$1" = install ] || [ "$1" = upgrade ]; then\n'
        "  dpkg-divert --package pg-common --rename --divert /usr/bin/pg_config.libpq-dev "
        "--add /usr/bin/pg_config\n"
        "fi\n"
    )
    common = package(tmp_path, "pg-common", files, preinst=text)
    other = make_package(
        tmp_path,
        "libpq-dev",
        {
            "/usr/bin/pg_config": File(content=b"ELF", mode=0o755),
            "/usr/bin/zz": File(hardlink="/usr/bin/pg_config", mode=0o755),
        },
    )
    tree = merged_tree((common, other))
    owners = {
        name: node.package
        for name in ("pg_config", "pg_config.libpq-dev")
        if (node := tree.get(f"/usr/bin/{name}"))
    }
    assert owners == {"pg_config": "pg-common", "pg_config.libpq-dev": "libpq-dev"}
    second = tree.get("/usr/bin/zz")
    assert second is not None
    assert second.hardlink == "/usr/bin/pg_config.libpq-dev"
    with pytest.raises(ResolutionError):
        merged_tree((package(tmp_path, "pg-common", files, preinst="dpkg-divert --list"), other))


def test_diversions_that_only_merge_usr_move_nothing(tmp_path: Path) -> None:
    text = "dpkg-divert --add --no-rename --divert /lib/x.usr-is-merged /lib/x"
    one = package(tmp_path, "one", preinst=text)
    other = make_package(tmp_path, "other", {"/lib/x": File(content=b"x")})
    assert merged_tree((one, other)).get("/usr/lib/x") is not None


def test_a_configuration_is_remembered_whole(tmp_path: Path) -> None:
    text = (
        "adduser --system --uid 700 a; usermod -aG adm a; mkdir /etc/a; echo x > /etc/b\n"
        "cp /etc/c /etc/d; rm /etc/c\nwho"
    )
    packages = (package(tmp_path, "app", {"/etc/c": File(content=b"c")}, postinst=text),)
    tree = merged_tree(packages)
    first = remembered(packages, tree, tmp_path / "memory")
    (memory,) = (tmp_path / "memory").iterdir()
    again = remembered(packages, tree, tmp_path / "memory")
    assert again == first
    assert again.users[0].groups == ("adm",)
    assert again.scripts[0].unrecognised == ((4, "who"),)
    laid = lay(again, tree)
    assert laid.get("/etc/c") is None
    copy = laid.get("/etc/d")
    assert copy is not None
    assert copy.content is not None
    memory.write_bytes(b"damaged")
    assert remembered(packages, tree, tmp_path / "memory") == first
