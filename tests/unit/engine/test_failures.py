"""What programs print when they fail becomes one sentence and the line that mends it."""

from __future__ import annotations

import errno

import pytest

from builder.engine.failures import TABLE, explain, find, translate
from builder.errors import BuildError, MachineError, ResolutionError

# ruff: noqa: E501
SAID = {
    'cannot find UID/GID for user dev: no subuid ranges found for user "dev" in /etc/subuid': "no subordinate",
    'Error running newuidmap: exec: "newuidmap": executable file not found in $PATH': "newuidmap is not installed",
    "/usr/bin/newgidmap should be setgid or have filecaps setgid\nFalling back to single mapping": "could not map",
    "Error: cannot mount using driver overlay in rootless mode. You need to run it in a `podman unshare`": "overlay",
    "'overlay' is not supported over extfs, a mount_program is required: backing file system is unsupported": "overlay",
    "fuse: failed to open /dev/fuse: Permission denied": "/dev/fuse",
    "crun: cgroups in hybrid mode not supported, drop all controllers from cgroupv2": "crun",
    "writing file `/sys/fs/cgroup/cgroup.subtree_control`: creating cgroup: Permission denied": "control group",
    "copying layers: write /var/tmp/x: no space left on device": "disk is full",
    "reading manifest latest in r.test/x: unauthorized: authentication required": "name and password",
    "reading manifest v9 in r.test/x: manifest unknown": "does not have that image",
    'short-name "x" did not resolve to an alias and no unqualified-search registries are defined': "which registry",
    "cannot set --network other than host with --isolation chroot": "refuses that network",
    'unrecognized isolation type "docker"': "isolation",
    "fork/exec /bin/sh: no such file or directory": "no shell",
    "pinging container registry r.test: dial tcp: lookup r.test: no such host": "cannot be reached",
    "dial tcp 127.0.0.1:5000: connect: connection refused": "cannot be reached",
    "error: image not known": "gone from their storage",
    "image is in use by a container: 12ab": "still used",
    "error: container not known": "was removed",
    "RLIMIT_NOFILE: Operation not permitted": "hard limits",
    "driver not supported": "driver",
    "lchown /etc/shadow: invalid argument": "beyond this user's",
    "standard_init_linux.go:228: exec user process caused: exec format error": "another processor",
    'checking on sources under "/x": copier: stat: "/y": no such file or directory': "not there",
    "open /etc/containers/policy.json: no such file or directory": "policy",
    'exec: "runc": executable file not found in $PATH': "No runtime",
}


@pytest.mark.parametrize("text", SAID)
def test_what_is_said_is_translated(text: str) -> None:
    error = translate(f"time=… level=error\n{text}\n")
    assert error is not None
    assert SAID[text] in error.message
    assert error.hint


def test_every_row_is_met_by_an_example() -> None:
    met = {known.sentence for text in SAID if (known := find(text)) is not None}
    assert met == {known.sentence for known in TABLE}


def test_causes_come_before_what_follows_from_them() -> None:
    text = "newuidmap: write to uid_map failed\nlchown /x: invalid argument\nno space left on device"
    assert str(find(text) and translate(text)).startswith("The disk is full")


def test_what_nobody_has_met_stays_as_it_is() -> None:
    assert translate("segmentation fault") is None


def test_what_a_command_of_a_stage_prints_is_not_taken_for_buildahs_own_words() -> None:
    assert translate("curl: (7) connect: connection refused", running=True) is None
    assert translate("cp: error writing: No space left on device", running=True) is not None


def test_errors_have_their_exit_codes() -> None:
    assert isinstance(translate("manifest unknown"), ResolutionError)
    assert isinstance(translate("image not known"), BuildError)
    assert isinstance(translate("no space left on device"), MachineError)


@pytest.mark.parametrize(
    ("what", "number", "words"),
    [
        ("unshare: No space left on device", errno.ENOSPC, "sysctl"),
        ("unshare: Operation not permitted", errno.EPERM, "inside a container"),
        ("mount of /proc: I/O error", errno.EIO, "rootlet doctor"),
    ],
    ids=["no namespaces left", "not permitted", "anything else"],
)
def test_a_room_that_the_kernel_refuses(what: str, number: int, words: str) -> None:
    error = explain(what, number)
    assert what in error.message
    assert words in str(error.hint)
