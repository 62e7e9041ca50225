"""Real maintainer scripts (of Debian 13, shortened), and what they come to on a fresh root."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builder.sources.debian.configure.run import configure, in_order
from builder.sysroot import Sysroot
from tests.support.configuring import Files, configured, lines, package, report, script, unrecognised
from tests.support.packages import Dir, File, Link, make_package

CONF = File(content=b"conf\n")

REDIS_TOOLS = """
set -e
USER="redis"
GROUP="$USER"
case "$1" in
configure)
        adduser --system --quiet --group --home /var/lib/${USER} ${USER} || true
        for DIR in lib log
        do
                mkdir -p /var/$DIR/redis
                chmod 2750 /var/$DIR/redis
        done
        chown ${USER}:adm /var/log/redis
        ;;
*) exit 1 ;;
esac
"""

MEMCACHED = """
GROUP="memcache"
USER="memcache"
DATADIR="/nonexistent"
case "$1" in
configure)
    if ! getent group $GROUP >/dev/null ; then
            addgroup --system $GROUP >/dev/null
    fi
    if ! getent passwd $USER >/dev/null ; then
            adduser \\
              --system \\
              --disabled-login \\
              --ingroup $GROUP \\
              --home $DATADIR \\
              --no-create-home \\
              --gecos "Memcached" \\
              --shell /bin/false \\
              $USER  >/dev/null
    fi
    if [ ! -e /etc/memcached.conf ]
        then
            mkdir -p /etc
            cp /usr/share/memcached/memcached.conf.default /etc/memcached.conf
    fi
    ;;
esac
"""

POSTGRESQL = """
[ "$DPKG_MAINTSCRIPT_PACKAGE" ] && . /usr/share/debconf/confmodule
if [ "$1" = configure ]; then
    [ "$DPKG_MAINTSCRIPT_PACKAGE" ] && quiet="--quiet" # RedHat doesn't have this
    if ! getent passwd postgres > /dev/null; then
        adduser --system $quiet --home /var/lib/postgresql --no-create-home \\
            --shell /bin/bash --group --gecos "PostgreSQL administrator" postgres
    fi
    if ! id -Gn postgres | grep -qw postgres; then
        adduser $quiet postgres postgres
    fi
    mkdir -p /var/lib/postgresql
    su -s /bin/sh postgres -c "test -O /var/lib/postgresql &&
            test -G /var/lib/postgresql" || \\
        chown postgres:postgres /var/lib/postgresql
    mkdir -p /var/log/postgresql
    chmod 1775 /var/log/postgresql
    chown root:postgres /var/log/postgresql
    [ -d /var/run/postgresql ] || \\
       install -d -m 2775 -o postgres -g postgres /var/run/postgresql
    if ! [ -e "/etc/root.crt" ]; then
        cat > "/etc/root.crt" <<EOF
This is a dummy root certificate.
EOF
    fi
    if [ -z "$2" ]; then
        pg_updatedicts
    fi
    [ -d /run/systemd/system ] && systemctl --system daemon-reload >/dev/null || :
fi
"""

EXIM = """
case "$1" in
  configure)
        if ! getent passwd Debian-exim > /dev/null ; then
          echo 'Adding system-user for exim (v4)' 1>&2
          adduser --system --group --quiet --home /var/spool/exim4 \\
            --no-create-home --disabled-login \\
            --allow-bad-names Debian-exim
        fi
        install -d -oDebian-exim -gadm -m2750 /var/log/exim4
        install -d -oDebian-exim -gDebian-exim -m750 /var/spool/exim4/db \\
                /var/spool/exim4/input
        ;;
esac
"""

NGINX = """
. /usr/share/debconf/confmodule
case "$1" in
  configure)
    logdir="/var/log/nginx"
    if ! dpkg-statoverride --list "$logdir" >/dev/null; then
      chown root:adm $logdir
      chmod 0755 $logdir
    fi
    if [ -z "$2" ]; then
      access_log="$logdir/access.log"
      if [ ! -e "$access_log" ]; then
        touch "$access_log"
        chmod 640 "$access_log"
        chown www-data:adm "$access_log"
      fi
    fi
    if [ -z $2 ] && [ ! -e /etc/nginx/sites-enabled/default ] &&
       [ -d /etc/nginx/sites-enabled ] && [ -d /etc/nginx/sites-available ]; then
      ln -s /etc/nginx/sites-available/default /etc/nginx/sites-enabled/default
    fi
    ;;
  abort-upgrade|abort-remove|abort-deconfigure)
    ;;
  *)
    echo "postinst called with unknown argument \\`$1'" >&2
    exit 1
    ;;
esac
"""

NGINX_MODULE = """
for confpair in mod-http-geoip.conf:50-mod-http-geoip.conf  ; do
        from=$(echo $confpair | cut -d: -f1)
        to=$(echo $confpair | cut -d: -f2)
        if [ -L /etc/nginx/modules-enabled/$to.removed ]; then
                rm /etc/nginx/modules-enabled/$to.removed
                removed_link=true
        else
                removed_link=false
        fi
        if [ -z "$2" -o "$removed_link" = "true" ]; then
                ln -sf /usr/share/nginx/modules-available/$from \\
                        /etc/nginx/modules-enabled/$to
        fi
done
if [ "$1" = "configure" ] ; then
        if which dpkg-trigger >/dev/null 2>&1 ; then
                dpkg-trigger --no-await nginx-reload
        fi
fi
"""

TOR = """#!/bin/sh -e
uid=`getent passwd debian-tor | cut -d ":" -f 3`
home=`getent passwd debian-tor | cut -d ":" -f 6`
if [ "$uid" ]; then
        if [ "$home" = "/var/lib/tor" ]; then
                :
        else
                exit 1
        fi
else
        adduser --quiet \\
                --system \\
                --disabled-password \\
                --home /var/lib/tor \\
                --no-create-home \\
                --shell /bin/false \\
                --group \\
                debian-tor
fi
for i in lib log; do
        if ! [ -d "/var/$i/tor" ]; then
                mkdir "/var/$i/tor"
        fi
done
command -v restorecon >/dev/null 2>&1 && restorecon /var/lib/tor
chown debian-tor:debian-tor /var/lib/tor
chmod 02700 /var/lib/tor
"""

MOSQUITTO = """
setup_mosquitto_user() {
        if ! getent group mosquitto >/dev/null; then
                addgroup --quiet --system mosquitto
        fi
        if ! getent passwd mosquitto >/dev/null; then
                adduser --quiet --system --no-create-home --ingroup mosquitto \
                --home /var/lib/mosquitto --shell /usr/sbin/nologin mosquitto
        fi
}
fix_permissions() {
        chown mosquitto /var/lib/mosquitto
        test ! -e /var/log/mosquitto || chown mosquitto /var/log/mosquitto
}
case "$1" in
        configure)
                setup_mosquitto_user
                fix_permissions
        ;;
esac
APP_PROFILE="/etc/apparmor.d/usr.sbin.mosquitto"
if [ -f "$APP_PROFILE" ] && aa-status --enabled 2>/dev/null; then
       apparmor_parser -r "$APP_PROFILE" || true
fi
"""

DBUS = """
MESSAGEUSER=nogroup
LAUNCHER=/usr/lib/dbus-daemon-launch-helper
if [ "$1" = triggered ]; then
    exit 0
fi
if [ "$1" = configure ]; then
    if ! dpkg-statoverride --list "$LAUNCHER" >/dev/null; then
        dpkg-statoverride --update --add root "$MESSAGEUSER" 4754 "$LAUNCHER"
    fi
fi
if [ -z "${DPKG_ROOT:-}" ] && [ "$1" = configure ] && [ -n "$2" ]; then
    touch /var/run/reboot-required || true
fi
"""

DOVECOT = """
if [ "$1" = "configure" ]; then
  CONFFILES="dovecot.conf \\
    conf.d/10-auth.conf"
  adduser --system --group --home /usr/lib/dovecot --gecos "Dovecot mail server" \\
          --no-create-home --disabled-password --quiet dovecot || true
  for conffile in $CONFFILES ; do
    ucf --three-way "/usr/share/dovecot/$conffile" "/etc/dovecot/$conffile"
    ucfr dovecot-core "/etc/dovecot/$conffile"
    if [ "$conffile" != "dovecot.conf" ] && [ -f "/etc/dovecot/$conffile" ]; then
      chmod 0640 "/etc/dovecot/$conffile"
      chgrp dovecot "/etc/dovecot/$conffile"
    fi
  done
fi
"""

HAPROXY = """
adduser --system --disabled-password --disabled-login --home /var/lib/haproxy \\
        --no-create-home --quiet --force-badname --group haproxy
# Automatically added by dh_installinit/13.24.2
if [ "$1" = "configure" ] || [ "$1" = "abort-upgrade" ]; then
        if [ -z "$DPKG_ROOT" ] && [ -x "/etc/init.d/haproxy" ]; then
                invoke-rc.d --skip-systemd-native haproxy start || exit 1
        fi
fi
# End automatically added section
if [ -n "$2" ]; then
        if dpkg --compare-versions "$2" lt "1.8.0-1~" && [ -d /run/systemd/system ]; then
                invoke-rc.d haproxy restart || true
        fi
fi
exit 0
"""

USER_ADD = """
useradd -r -g daemon -G adm,mail -d /srv/x -s /bin/sh -c "An x" x
groupadd -r --gid 510 y
useradd --system --uid 600 -U -M z
usermod -aG y z
gpasswd -a x y
"""

CASES: dict[str, tuple[str, Files, list[str]]] = {
    "redis-tools adds a user with its folders": (
        REDIS_TOOLS,
        {},
        [
            "user redis - redis /var/lib/redis /usr/sbin/nologin",
            "group redis -",
            "/var/lib/redis/ 2750 redis:redis",
            "/var/log/redis/ 2750 redis:adm",
        ],
    ),
    "memcached copies its settings": (
        MEMCACHED,
        {"/usr/share/memcached/memcached.conf.default": CONF},
        [
            "user memcache - memcache /nonexistent /bin/false 'Memcached'",
            "group memcache -",
            "/etc/memcached.conf 0644 root:root",
        ],
    ),
    "postgresql-common owns what it makes": (
        POSTGRESQL,
        {"/var/lib/postgresql": Dir()},
        [
            "user postgres - postgres /var/lib/postgresql /bin/bash 'PostgreSQL administrator'",
            "group postgres -",
            "/etc/root.crt 0644 root:root",
            "/run/postgresql/ 2775 postgres:postgres",
            "/var/lib/postgresql/ 0755 postgres:postgres changed",
            "/var/log/postgresql/ 1775 root:postgres",
        ],
    ),
    "exim4-base installs folders": (
        EXIM,
        {},
        [
            "user Debian-exim - Debian-exim /var/spool/exim4 /usr/sbin/nologin",
            "group Debian-exim -",
            "/var/log/exim4/ 2750 Debian-exim:adm",
            "/var/spool/ 0755 root:root",
            "/var/spool/exim4/ 0755 root:root",
            "/var/spool/exim4/db/ 0750 Debian-exim:Debian-exim",
            "/var/spool/exim4/input/ 0750 Debian-exim:Debian-exim",
        ],
    ),
    "nginx-common enables its site and owns its logs": (
        NGINX,
        {
            "/var/log/nginx": Dir(),
            "/etc/nginx/sites-enabled": Dir(),
            "/etc/nginx/sites-available/default": CONF,
        },
        [
            "/etc/nginx/sites-enabled/default -> /etc/nginx/sites-available/default",
            "/var/log/nginx/ 0755 root:adm changed",
            "/var/log/nginx/access.log 0640 www-data:adm",
        ],
    ),
    "a module of nginx is linked by names that a pipeline cuts": (
        NGINX_MODULE,
        {"/etc/nginx/modules-enabled": Dir()},
        [
            (
                "/etc/nginx/modules-enabled/50-mod-http-geoip.conf -> "
                "/usr/share/nginx/modules-available/mod-http-geoip.conf"
            )
        ],
    ),
    "tor asks for its user with backquotes": (
        TOR,
        {"/var/lib/tor": Dir(), "/var/log/tor": Dir()},
        [
            "user debian-tor - debian-tor /var/lib/tor /bin/false",
            "group debian-tor -",
            "/var/lib/tor/ 2700 debian-tor:debian-tor changed",
        ],
    ),
    "mosquitto does it in functions": (
        MOSQUITTO,
        {"/var/lib/mosquitto": Dir(), "/var/log/mosquitto": Dir()},
        [
            "user mosquitto - mosquitto /var/lib/mosquitto /usr/sbin/nologin",
            "group mosquitto -",
            "/var/lib/mosquitto/ 0755 mosquitto:root changed",
            "/var/log/mosquitto/ 0755 mosquitto:root changed",
        ],
    ),
    "dbus overrides a mode, and upgrades do not count": (
        DBUS,
        {"/usr/lib/dbus-daemon-launch-helper": File(content=b"x", mode=0o755)},
        ["/usr/lib/dbus-daemon-launch-helper 4754 root:nogroup changed"],
    ),
    "dovecot-core has its settings from ucf": (
        DOVECOT,
        {"/usr/share/dovecot/dovecot.conf": CONF, "/usr/share/dovecot/conf.d/10-auth.conf": CONF},
        [
            "user dovecot - dovecot /usr/lib/dovecot /usr/sbin/nologin 'Dovecot mail server'",
            "group dovecot -",
            "/etc/dovecot/ 0755 root:root",
            "/etc/dovecot/conf.d/ 0755 root:root",
            "/etc/dovecot/conf.d/10-auth.conf 0640 root:dovecot",
            "/etc/dovecot/dovecot.conf 0644 root:root",
        ],
    ),
    "haproxy adds its user outside of any condition": (
        HAPROXY,
        {},
        ["user haproxy - haproxy /var/lib/haproxy /usr/sbin/nologin", "group haproxy -"],
    ),
    "useradd and its like": (
        USER_ADD,
        {},
        [
            "user x - daemon /srv/x /bin/sh 'An x' +adm,mail,y",
            "user z 600 z /home/z /bin/sh +y",
            "group y 510",
            "group z -",
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_real_scripts(tmp_path: Path, case: str) -> None:
    text, files, expected = CASES[case]
    found = script(tmp_path, text, files)
    assert lines(found) == expected
    assert unrecognised(found) == []


LOADERS = """#!/bin/sh
set -e
LOADERS_DIR=/usr/lib/x86_64-linux-gnu/gdk-pixbuf-2.0/2.10.0/loaders
if [ -d $LOADERS_DIR ]; then
    /usr/lib/x86_64-linux-gnu/gdk-pixbuf-2.0/gdk-pixbuf-query-loaders \\
        $(find $LOADERS_DIR -name *.so 2> /dev/null | LC_ALL=C sort) \\
    > /usr/lib/x86_64-linux-gnu/gdk-pixbuf-2.0/2.10.0/loaders.cache || true
fi
if which update-mime-database >/dev/null 2>&1; then
    update-mime-database /usr/share/mime
fi
"/usr/lib/x86_64-linux-gnu/glib-2.0/glib-compile-schemas" /usr/share/glib-2.0/schemas || true
"""


def test_what_rules_make_is_no_loss(tmp_path: Path) -> None:
    folder = "/usr/lib/x86_64-linux-gnu/gdk-pixbuf-2.0/2.10.0/loaders"
    found = script(tmp_path, LOADERS, {folder: Dir(), f"{folder}/a.so": CONF})
    assert unrecognised(found) == []
    assert [one for one in found.scripts if one.not_made] == []
    assert not [node for node in found.nodes if node.path.endswith("loaders.cache")]


def test_contents_are_known(tmp_path: Path) -> None:
    found = script(tmp_path, POSTGRESQL, {"/var/lib/postgresql": Dir()})
    assert found.contents == {"/etc/root.crt": b"This is a dummy root certificate.\n"}
    assert report(found, "app", "postinst").not_made == ("not made: PostgreSQL dictionaries",)
    copied = script(tmp_path, MEMCACHED, {"/usr/share/memcached/memcached.conf.default": CONF})
    (node,) = copied.nodes
    assert node.content is not None
    assert (node.content.size, node.package) == (5, "app")
    assert copied.contents == {}


SMALL: dict[str, tuple[str, list[str]]] = {
    "a heredoc with a variable": ("x=1\ncat > /etc/a <<-EOF\n\t$x \\$x\n\tEOF\n", ["/etc/a 0644 root:root"]),
    "a mode in letters": ("mkdir /etc/a; chmod u=rwx,g+s,o-rx /etc/a", ["/etc/a/ 2750 root:root"]),
    "umask": (
        "( umask 077; mkdir /etc/a; : > /etc/b ); mkdir /etc/c",
        ["/etc/a/ 0700 root:root", "/etc/b 0600 root:root", "/etc/c/ 0755 root:root"],
    ),
    "a while loop over words": (
        "set -- a b\nwhile [ $# -gt 0 ]; do touch /etc/$1; shift; done",
        ["/etc/a 0644 root:root", "/etc/b 0644 root:root"],
    ),
    "a suffix cut off": ("f=/etc/x.conf.new; touch ${f%.new} ${f##*/}", ["/etc/x.conf 0644 root:root"]),
    "a default value": (
        "touch ${DPKG_ROOT:-}/etc/${A:=b}; touch /etc/$A$A",
        ["/etc/b 0644 root:root", "/etc/bb 0644 root:root"],
    ),
    "a move over a link to a folder": (
        "ln -s /var/lib /etc/l; touch /etc/l/f; mv /etc/l/f /etc/g",
        ["/etc/g 0644 root:root", "/etc/l -> /var/lib"],
    ),
    "a relative link": ("ln -rs /usr/share/x /etc/y", ["/etc/y -> ../usr/share/x"]),
    "what is removed again": ("touch /etc/a; mkdir -p /etc/b/c; rm -rf /etc/a /etc/b", []),
    "temporary files": ("t=$(mktemp); echo x > $t; cp $t /etc/x; rm -f $t", ["/etc/x 0644 root:root"]),
    "a branch that ends the script": (
        '[ "$1" = configure ] || exit 0\ntouch /etc/a\nexit 0\ntouch /etc/b',
        ["/etc/a 0644 root:root"],
    ),
    "break and continue": (
        "for i in a b c d; do [ $i = b ] && continue; [ $i = d ] && break; touch /etc/$i; done",
        ["/etc/a 0644 root:root", "/etc/c 0644 root:root"],
    ),
    "paths that match a pattern": (
        "for f in /var/l*; do touch $f/x; done",
        ["/var/lib/x 0644 root:root", "/var/log/x 0644 root:root"],
    ),
    "versions": (
        'if dpkg --compare-versions "$2" lt-nl 2; then touch /etc/a; else touch /etc/b; fi',
        ["/etc/b 0644 root:root"],
    ),
    "accounts and devices are no files": (
        "touch /etc/passwd /dev/x /proc/y /var/lib/dpkg/z /etc/a",
        ["/etc/a 0644 root:root"],
    ),
    "an owner of numbers": ("mkdir /etc/a; chown 0:33 /etc/a", ["/etc/a/ 0755 root:33"]),
    "owners of everything below": (
        "mkdir -p /etc/a/b; touch /etc/a/b/c; chown -R daemon:adm /etc/a",
        ["/etc/a/ 0755 daemon:adm", "/etc/a/b/ 0755 daemon:adm", "/etc/a/b/c 0644 daemon:adm"],
    ),
}


@pytest.mark.parametrize("case", SMALL)
def test_small_scripts(tmp_path: Path, case: str) -> None:
    text, expected = SMALL[case]
    found = script(tmp_path, text)
    assert lines(found) == expected
    assert unrecognised(found) == []


UNCLEAR: dict[str, tuple[str, list[int], list[str]]] = {
    "a program that nobody knows": ("touch /etc/a\nfrobnicate /etc/b\n", [3], ["/etc/a 0644 root:root"]),
    "a condition that cannot be decided": (
        "if grep -q '^x.*' /etc/a; then\n  touch /etc/b\nfi\ntouch /etc/c",
        [3],
        ["/etc/c 0644 root:root"],
    ),
    "an undecided condition that would change nothing": ("if uname -m; then\n  echo x\nfi", [], []),
    "a path that is not known": ("mkdir /etc/$(uname -m)", [2], []),
    "a variable of an undecided branch": ("x=a\nif uname; then x=b; fi\ntouch /etc/$x", [4], []),
    "an owner that does not exist": (
        "mkdir /etc/a\nchown nobody-knows /etc/a",
        [3],
        ["/etc/a/ 0755 root:root"],
    ),
    "a file of unknown text": ("uname -m > /etc/a", [2], []),
    "a name that is none": ("adduser --system 'a:b'", [2], []),
    "a case whose word is not known": (
        "case $(uname -m) in x86) touch /etc/a;; *) rm -rf /etc;; esac",
        [2, 2],
        [],
    ),
    "a line that is no shell": ("touch /etc/a\nif then fi (", [3], ["/etc/a 0644 root:root"]),
    "another language": ("#!/usr/bin/perl -w\nmkdir '/etc/a';", [1], []),
    "a loop without end": ("while true; do :; done", [2], []),
    "functions that call each other": ("f() { g; }\ng() { f; }\nf", [3], []),
    "what is evaluated": ("eval touch /etc/a", [2], []),
}


@pytest.mark.parametrize("case", UNCLEAR)
def test_what_is_not_understood_is_said_with_its_line(tmp_path: Path, case: str) -> None:
    text, numbers, expected = UNCLEAR[case]
    found = script(tmp_path, text)
    assert sorted({number for number, _ in unrecognised(found)}) == sorted(set(numbers))
    assert lines(found) == expected


def test_sections_of_debhelper_about_services_are_passed_over_and_lines_keep_their_numbers(
    tmp_path: Path,
) -> None:
    section = "# Automatically added by dh_installsystemd/13\nfrob\n# End automatically added section\n"
    found = script(tmp_path, f"{section}unknown-program\n")
    assert unrecognised(found) == [(5, "unknown-program")]


def test_packages_are_configured_after_what_they_depend_on(tmp_path: Path) -> None:
    one = package(tmp_path, "aa", depends="bb (>= 1), cc | dd", postinst="chown made-by-b /etc/x")
    other = package(tmp_path, "bb", depends="aa", postinst="adduser --system made-by-b")
    files = package(tmp_path, "z", {"/etc/x": CONF})
    assert [item.name for item in in_order((one, other))] == ["bb", "aa"]
    found = configured(tmp_path, one, other, files)
    assert "/etc/x 0644 made-by-b:root changed" in lines(found)


def test_debconf_answers_are_the_defaults_and_what_config_sets(tmp_path: Path) -> None:
    templates = (
        "Template: app/a\nType: string\nDefault: one\n\nTemplate: app/b\nType: boolean\nDescription: x\n"
    )
    text = ". /usr/share/debconf/confmodule\ndb_get app/a\ntouch /etc/$RET\ndb_get app/b\ntouch /etc/x$RET\n"
    app = package(tmp_path, "app", postinst=text, config="db_set app/b two", templates=templates)
    assert lines(configured(tmp_path, app)) == ["/etc/one 0644 root:root", "/etc/xtwo 0644 root:root"]
    unknown = script(tmp_path, text)
    assert [number for number, _ in unrecognised(unknown)] == [4, 6]


def test_files_of_the_packages_are_followed_when_a_script_uses_them(tmp_path: Path) -> None:
    functions = "make() {\n  mkdir /etc/$1\n  frob\n}\nwhere=/etc\nreturn 0\ntouch /etc/not\n"
    helper = (
        "#!/bin/sh\nset -e\nwhere=/lost\n"
        'case "$1" in install) touch "/etc/$2"; exit 0;; esac\ntouch /etc/no\n'
    )
    files: Files = {
        "/usr/share/app/functions": File(content=functions.encode()),
        "/usr/share/app/helper": File(content=helper.encode(), mode=0o755),
        "/usr/share/app/program": File(content=b"\x7fELF", mode=0o755),
    }
    text = ". /usr/share/app/functions\nmake a\n/usr/share/app/helper install b\ntouch $where/c\n"
    found = script(tmp_path, f"{text}/usr/share/app/program x\n. /nowhere\n", files)
    assert lines(found) == ["/etc/a/ 0755 root:root", "/etc/b 0644 root:root", "/etc/c 0644 root:root"]
    assert [number for number, _ in unrecognised(found)] == [3, 6, 7]


STATUS: dict[str, tuple[str, list[str]]] = {
    "unknown and false is false": (
        "if uname && [ -e /etc/no ]; then touch /etc/a; else touch /etc/b; fi",
        ["b"],
    ),
    "unknown or true is true": ("if uname || true; then touch /etc/a; fi", ["a"]),
    "unknown and true is unknown": ("if uname && true; then touch /etc/a; else touch /etc/b; fi", []),
    "the last status": ("false\n[ $? = 1 ] && touch /etc/a\ntrue\n[ $? = 0 ] && touch /etc/b", ["a", "b"]),
    "nothing runs": ("pidof x || touch /etc/a; pgrep x || touch /etc/b", ["a", "b"]),
    "a test without an operator": (
        "[ x ] && touch /etc/a; [ '' ] || touch /etc/b; [ ! x ] && touch /c",
        ["a", "b"],
    ),
    "files are the same or not": (
        (
            "echo x >/etc/a; cp /etc/a /etc/b; echo y >/etc/c\n"
            "cmp -s /etc/a /etc/b && touch /etc/d; diff -q /etc/a /etc/c >/dev/null 2>&1 || touch /etc/e\n"
            "diff -q /etc/no /etc/a || touch /etc/f; cmp /etc/a /proc/x && touch /etc/g"
        ),
        ["a", "b", "c", "d", "e", "f"],
    ),
    "parentheses in a test": ("[ \\( a = b -o c = c \\) -a -d /etc ] && touch /etc/a", ["a"]),
}


@pytest.mark.parametrize("case", STATUS)
def test_what_is_true(tmp_path: Path, case: str) -> None:
    text, names = STATUS[case]
    assert [node.path for node in script(tmp_path, text).nodes] == [f"/etc/{name}" for name in names]


def test_sed_that_changes_nothing_is_recognised(tmp_path: Path) -> None:
    text = (
        "echo 'a new word' >/etc/a\n"
        "sed -i -e 's/OldWord/x/i' -e 's,old-word,y,g' /etc/a\n"
        "sed -i -e 's/Word/x/i' /etc/a\n"
        "sed -i -e 's/[Oo]ld/x/' /etc/a\n"
        "sed -i -e 's/old/x/' /etc/none\n"
    )
    assert [number for number, _ in unrecognised(script(tmp_path, text))] == [4, 5, 6]


def test_a_script_that_would_fail_says_where(tmp_path: Path) -> None:
    found = script(tmp_path, "touch /etc/a\n[ -e /etc/no ] || exit 1\ntouch /etc/b\n")
    assert lines(found) == ["/etc/a 0644 root:root"]
    assert unrecognised(found) == [(3, "[ -e /etc/no ] || exit 1")]


def test_preinst_runs_before_everything(tmp_path: Path) -> None:
    app = package(
        tmp_path,
        "app",
        preinst='[ "$1" = install ] && mkdir /etc/early',
        postinst="[ -d /etc/early ] && touch /etc/early/x",
    )
    assert lines(configured(tmp_path, app)) == ["/etc/early/ 0755 root:root", "/etc/early/x 0644 root:root"]


def test_what_a_package_ships_can_be_removed_and_moved(tmp_path: Path) -> None:
    files: Files = {"/etc/a": CONF, "/etc/b": CONF, "/usr/share/l": Link("/etc/a")}
    found = script(tmp_path, "rm /etc/a; mv /etc/b /etc/c", files)
    assert found.removed == {"/etc/a", "/etc/b"}
    (node,) = found.nodes
    assert (node.path, node.package) == ("/etc/c", "app")
    assert node.content is not None


PIECES = """
if then fi for do done case esac in while { } ( ) $( ` " ' $x ${x#*a} <<E E ; ;; && || | ! [ ] * mkdir -p
/etc/a adduser --system a chown -R update-alternatives --install rm -rf / mv ln x=1 f() f cp -r /etc cat >
/etc/x # printf read set -- shift
"""
WORDS = st.sampled_from([*PIECES.split(), "\n", "\\"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.one_of(st.text(max_size=300), st.lists(WORDS, max_size=60).map(" ".join)))
def test_any_text_is_read_to_an_end(tmp_path: Path, text: str) -> None:
    app = package(
        tmp_path, "app", {"/etc/a/b": CONF}, postinst=text, preinst=text, config=text, templates=text
    )
    tree = Sysroot(app.nodes, (app,))
    found = configure((app,), tree)
    assert configure((app,), tree) == found
    assert all(made.node.path.startswith("/") for made in found.made)
    assert all(
        made.node.content or made.node.path in found.contents
        for made in found.made
        if made.node.kind.value == "file"
    )


@pytest.mark.parametrize(
    "text",
    [
        "x=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n" + "x=$x$x\n" * 60 + "echo ${x##*a*a*a*b}",
        "for i in " + "a " * 5000 + "; do for j in $@ 1 2 3 4 5; do mkdir -p /etc/$i/$j; done; done",
        "$(" * 500,
        "( " * 500 + "true" + " )" * 500,
        "f() { f | f; }\nf",
        "mkdir -p /" + "a/" * 3000,
        "\n".join(f"mkdir /etc/{number}" for number in range(30_000)),
        "cat <<A\n" * 1000,
        "x='" + "(" * 100_000,
        "while :; do " * 100,
    ],
    ids=[
        "doubled",
        "many words",
        "substitutions",
        "subshells",
        "forks",
        "deep",
        "many",
        "heredocs",
        "quote",
        "loops",
    ],
)
def test_hostile_scripts_end_soon(tmp_path: Path, text: str) -> None:
    assert make_package(tmp_path, "x", {}).name == "x"
    found = script(tmp_path, text)
    assert len(found.made) <= 25_000


MOD_PHP = r"""
if [ -e /usr/share/apache2/apache2-maintscript-helper ]; then
    . /usr/share/apache2/apache2-maintscript-helper
    php_enable() {
        local a2query_ret=0
        a2query -m "php8.4" > /dev/null 2>&1 || a2query_ret=$?
        if [ "$a2query_ret" -eq 0 ] ; then
            apache2_msg "info" "$DPKG_MAINTSCRIPT_PACKAGE: not switching MPM - already enabled"
            return 1
        elif [ "$a2query_ret" -eq 32 ] ; then
            apache2_msg "info" "$DPKG_MAINTSCRIPT_PACKAGE: not switching MPM - disabled by maintainer"
            return 1
        fi
        PHP_MODULE=$(a2query -m | sed -n 's/^\(php[\.0-9]*\) (enabled.*)/\1/p')
        if [ -n "$PHP_MODULE" -a "$PHP_MODULE" != "php8.4" ]; then
            apache2_msg "err" "$PHP_MODULE module already enabled, not enabling PHP 8.4"
            return 1
        fi
        mpm=$(a2query -M)
        case "$(a2query -M)" in
            prefork|itk) return 0;;
            *) if apache2_switch_mpm prefork; then return 0; fi;;
        esac
        return 1
    }
else
    php_enable() { return 1; }
fi
if php_enable; then
    for conf in php8.4 ; do
        apache2_invoke enmod $conf || exit 1
    done
fi
"""


@pytest.mark.parametrize("name", ["libapache2-mod-php", "a-module"], ids=["after Apache", "before Apache"])
def test_php_is_switched_on_in_apache_with_the_module_it_needs(name: str, tmp_path: Path) -> None:
    available = "/etc/apache2/mods-available"
    apache = package(
        tmp_path,
        "apache2",
        {
            "/usr/share/apache2/apache2-maintscript-helper": CONF,
            "/etc/apache2/mods-enabled": Dir(),
            f"{available}/mpm_event.load": CONF,
            f"{available}/mpm_event.conf": CONF,
            f"{available}/mpm_prefork.load": CONF,
        },
        postinst="a2enmod -m -q mpm_event",
    )
    loads = File(content=b"# Depends: mpm_prefork\n")
    php = package(tmp_path, name, {f"{available}/php8.4.load": loads}, postinst=MOD_PHP)
    configuration = configured(tmp_path, apache, php)
    enabled = "/etc/apache2/mods-enabled"
    assert lines(configuration) == [
        f"{enabled}/mpm_prefork.load -> ../mods-available/mpm_prefork.load",
        f"{enabled}/php8.4.load -> ../mods-available/php8.4.load",
    ]
    assert not unrecognised(configuration)


MODULES: Files = {"/etc/apache2/mods-available/ssl.load": CONF, "/etc/apache2/mods-enabled": Dir()}


@pytest.mark.parametrize(
    ("text", "made"),
    [
        pytest.param("a2query -q -m ssl || a2enmod ssl", True, id="a module that is off is switched on"),
        pytest.param("a2query -q -m ssl && a2enmod ssl", False, id="a query about it fails"),
        pytest.param("a2enmod ssl; a2query -m ssl || a2dismod ssl", True, id="one that is on is found"),
        pytest.param("a2enmod ssl; a2query -M || a2dismod ssl", False, id="no MPM is on"),
    ],
)
def test_a2query_answers_from_what_was_switched_on_so_far(text: str, *, made: bool, tmp_path: Path) -> None:
    configuration = script(tmp_path, text, MODULES)
    assert ("/etc/apache2/mods-enabled/ssl.load" in {one.node.path for one in configuration.made}) is made
    assert not unrecognised(configuration)


def test_a_folder_holds_for_relative_paths_until_its_subshell_ends(tmp_path: Path) -> None:
    text = """
cd /etc/app
[ -f main.cf ] || cp /usr/share/app/main.cf main.cf
echo x > list
chmod 0600 ./*.dist
(cd /var/lib && mkdir app)
mkdir sub
cd sub && touch here
cd ../nothing || touch lost
"""
    files = {"/etc/app/a.dist": CONF, "/usr/share/app/main.cf": CONF}
    configuration = script(tmp_path, text, files)
    assert lines(configuration) == [
        "/etc/app/a.dist 0600 root:root changed",
        "/etc/app/list 0644 root:root",
        "/etc/app/main.cf 0644 root:root",
        "/etc/app/sub/ 0755 root:root",
        "/etc/app/sub/here 0644 root:root",
        "/var/lib/app/ 0755 root:root",
    ]


TREE: Files = {
    "/srv/app": Dir(),
    "/srv/app/a": CONF,
    "/srv/app/b b": CONF,
    "/srv/app/sub": Dir(),
    "/srv/app/sub/c": CONF,
    "/srv/app/link": Link("/etc/hosts"),
    "/etc/hosts": CONF,
}


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        pytest.param(
            "find /srv/app -type f -print0 | xargs -0 -r chmod 0600", ["a", "b b", "sub/c"], id="by xargs -0"
        ),
        pytest.param("find /srv/app -name a | xargs chmod 0600", ["a"], id="by name and plain xargs"),
        pytest.param(
            "find /srv/app -mindepth 1 -maxdepth 1 -type d -exec chmod 0700 {} +", ["sub"], id="by depth"
        ),
        pytest.param("find /srv/app ! -type l -name 'b*' -exec chmod 0600 {} \\;", ["b b"], id="by negation"),
        pytest.param(
            "find /srv/app -user root -type f -exec chown www-data {} +", ["a", "b b", "sub/c"], id="by user"
        ),
        pytest.param("find /srv/app ! -user root -exec chown www-data {} +", [], id="where nothing is found"),
        pytest.param(
            "find /srv/app -type l -print0 | xargs -0 chown -h www-data", [], id="not through links"
        ),
    ],
)
def test_find_changes_what_it_finds(text: str, changed: list[str], tmp_path: Path) -> None:
    configuration = script(tmp_path, text, TREE)
    assert [one.node.path for one in configuration.made] == [f"/srv/app/{name}" for name in changed]
    assert not unrecognised(configuration)


@pytest.mark.parametrize(
    "text",
    [
        "find /srv/app -perm /022 -exec chmod go-w {} +",
        "find /srv/app -type f -exec rm {} +",
        "find /srv/app -type f | xargs rm",
        "find $(unheard-of) -type f -exec chmod 0600 {} +",
        "find /srv/app -name a -o -exec chmod 0600 {} +",
        "find /srv/app -exec",
        "find -type",
        "find",
        "xargs -0 -I{} chmod 0600 {}",
        "unheard-of | xargs chmod 0600",
    ],
)
def test_another_search_is_reported(text: str, tmp_path: Path) -> None:
    configuration = script(tmp_path, text, TREE)
    assert not configuration.made
    assert unrecognised(configuration)
