"""What can be said of a command without following it: whether it matters, and which variables it sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from builder.shell.commands import all_commands, first_word, simple_commands
from builder.shell.syntax import Command, For, Simple, Text

_MOST_CALLS = 3

_HARMLESS_WORDS = """
: true false echo printf exit return shift set unset local export readonly declare umask trap test [ [[ break
continue cd wait sleep type which command getent id hostname uname date env readlink dirname basename
realpath head tail grep egrep fgrep cut tr sort uniq wc cat stat logger read alias ls pidof ps
db_version db_get db_set db_input db_go db_stop db_fget db_fset db_subst db_title db_beginblock
db_endblock db_capb db_metaget db_purge db_register db_unregister db_reset db_settitle db_progress db_info
systemctl deb-systemd-helper deb-systemd-invoke invoke-rc.d update-rc.d service start-stop-daemon
dpkg-maintscript-helper dpkg-trigger dpkg-query dpkg ucfr ucfq restorecon selinuxenabled kill killall
udevadm apparmor_parser aa-enabled aa-status py3compile py3clean ldconfig a2query apache2_msg apache2_reload
"""
HARMLESS = frozenset(_HARMLESS_WORDS.split())
"""Commands that leave nothing in an image, whatever they say."""


def has_effect(command: Command, functions: Mapping[str, Command], depth: int = 0) -> bool:
    """Whether ``command`` may change anything that an image would show."""
    return any(_matters(simple, functions, depth) for simple in simple_commands(command))


def _matters(command: Simple, functions: Mapping[str, Command], depth: int) -> bool:
    for redirect in command.redirects:
        target = "".join(part.text for part in redirect.target if isinstance(part, Text))
        output = ">" in redirect.operator and redirect.descriptor in {-1, 1}
        if output and target not in {"2", "1", "-"} and not target.startswith("/dev/"):
            return True
    if not command.words:
        return False
    name = first_word(command)
    if name in functions:
        return depth >= _MOST_CALLS or has_effect(functions[name], functions, depth + 1)
    return name not in HARMLESS


def assigned_names(command: Command) -> Iterator[str]:
    """Variables that ``command`` may set by plain assignment, ``for`` or ``read``."""
    for one in all_commands(command):
        if isinstance(one, For):
            yield one.name
        elif isinstance(one, Simple):
            yield from (name for name, _ in one.assignments)
            if first_word(one) in {"read", "local", "export"}:
                for word in one.words[1:]:
                    yield "".join(part.text for part in word if isinstance(part, Text)).partition("=")[0]
            elif first_word(one).startswith("db_"):
                yield "RET"
