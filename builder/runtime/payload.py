"""The payload of a named package: everything it ships, less what only people read."""

from __future__ import annotations

import re

# Documentation, manual pages, message catalogues, lintian and bug-report files (docs/resolution.md).
# The copyright file returns with the package's record.
_NOT_PAYLOAD = re.compile(
    r"/usr/share/(?:doc|doc-base|man|info|locale|help|gtk-doc|devhelp|lintian|bug|linda|reportbug)(?:/.*)?",
    re.DOTALL,
)

# Hooks of programs that run a machine, not a container: their interpreters are not needed in an image.
_HOOK = re.compile(
    r"/etc/(?:init\.d|cron[^/]*|network|ppp|dhcp|resolvconf|logrotate\.d|NetworkManager|kernel|initramfs-tools"
    r"|update-motd\.d|apm|acpi|insserv[^/]*|rc[0-6S]\.d|X11|pm)/.*"
    r"|/usr/share/(?:apport|initramfs-tools|debconf|python3/runtime\.d)/.*",
    re.DOTALL,
)


def is_payload(path: str) -> bool:
    """Whether ``path`` of a named package goes into the image."""
    return _NOT_PAYLOAD.fullmatch(path) is None


def is_hook(path: str) -> bool:
    """Whether ``path`` is a script that only another program of a whole machine would start."""
    return _HOOK.fullmatch(path) is not None
