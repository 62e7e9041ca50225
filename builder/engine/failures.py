"""What buildah, skopeo and the kernel say when they fail, as one sentence and the line that mends it."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass

from builder.errors import BuildError, MachineError, ResolutionError, RootletError


class LostImageError(BuildError):
    """An image that was written down is not in the storage: it has to be made again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A failure that has been met: the words of it that the program prints, what they mean, the way out."""

    pattern: str
    sentence: str
    hint: str
    error: type[RootletError] = MachineError
    running: bool = False
    """Whether the words mean this too among the output of a command that a stage runs."""


NO_SUBUIDS = Known(
    pattern=r"no subuid ranges found|Found no UID ranges set aside|no subgid ranges found",
    sentence="This user has no subordinate user numbers, and build stages need them",
    hint="sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER",
)
NO_NEWUIDMAP = Known(
    pattern=r"exec: \"?new[ug]idmap\"?: executable file not found"
    r"|new[ug]idmap: (?:not found|command not found)",
    sentence="newuidmap is not installed, and build stages of users need it",
    hint="sudo apt-get install uidmap (elsewhere: shadow-utils)",
)
NOT_SETUID = Known(
    pattern=r"new[ug]idmap should be set[ug]id|[Ff]alling back to single mapping"
    r"|new[ug]idmap: write to [ug]id_map failed",
    sentence="newuidmap could not map this user's subordinate numbers",
    hint="sudo chmod u+s /usr/bin/newuidmap /usr/bin/newgidmap; "
    "one range for each user in /etc/subuid and /etc/subgid",
)
NO_SPACE = Known(
    pattern=r"no space left on device|disk quota exceeded",
    sentence="The disk is full",
    hint="free some space (rootlet cache clean empties rootlet's cache) and run it again",
    running=True,
)
NO_OVERLAY = Known(
    pattern=r"cannot mount using driver overlay in rootless mode|'overlay' is not supported over"
    r"|kernel does not support overlay fs|overlay.*(?:invalid argument|not supported)"
    r"|backing file system is unsupported",
    sentence="The kernel or the file system of rootlet's cache does not allow overlay mounts",
    hint="sudo apt-get install fuse-overlayfs, or put the cache on ext4 or xfs with ROOTLET_CACHE",
)

TABLE = (
    NO_SPACE,
    NO_NEWUIDMAP,
    NOT_SETUID,
    NO_SUBUIDS,
    NO_OVERLAY,
    Known(
        pattern=r"fuse: failed to open /dev/fuse|fuse: device not found",
        sentence="/dev/fuse cannot be used, and fuse-overlayfs needs it",
        hint="sudo chmod 666 /dev/fuse, or load the kernel module: sudo modprobe fuse",
    ),
    Known(
        pattern=r"cgroups in hybrid mode not supported",
        sentence="The runtime crun does not run on a machine with both versions of control groups",
        hint="unset BUILDAH_ISOLATION, or install runc",
        running=True,
    ),
    Known(
        pattern=r"cgroup.*(?:permission denied|no such file|not (?:supported|delegated|mounted))"
        r"|creating cgroup|join.*cgroup",
        sentence="The runtime was not allowed to make a control group",
        hint="unset BUILDAH_ISOLATION: the isolation chroot needs no control groups",
    ),
    Known(
        pattern=r"RLIMIT_\w+: Operation not permitted|error setting rlimit",
        running=True,
        sentence="The machine's hard limits are lower than those that buildah wants to set",
        hint="raise them (ulimit -Hn, ulimit -Hu), or the default_ulimits of containers.conf(5)",
    ),
    Known(
        pattern=r"cannot set --network other than host|cannot set --network other than"
        r"|network.*conflict.*isolation",
        running=True,
        sentence="This version of buildah refuses that network with that isolation",
        hint="unset BUILDAH_ISOLATION: rootlet takes the network away by itself",
    ),
    Known(
        pattern=r"unrecognized isolation type",
        sentence="BUILDAH_ISOLATION names an isolation that this version of buildah does not know",
        hint="BUILDAH_ISOLATION=chroot, oci or rootless",
    ),
    Known(
        pattern=r"\"?(?:crun|runc)\"?: executable file not found|no OCI runtime|runtime .* not found",
        sentence="No runtime for containers is installed, and the isolation asked for needs one",
        hint="install runc or crun, or unset BUILDAH_ISOLATION",
    ),
    Known(
        pattern=r"unauthorized|authentication required|access to the resource is denied"
        r"|denied: requested access",
        sentence="The registry wants a name and password that it accepts",
        hint="log in first: skopeo login REGISTRY",
    ),
    Known(
        pattern=r"manifest unknown|name unknown|repository .* not found|reading manifest .*: not found",
        sentence="The registry does not have that image",
        hint="check the name and the tag",
        error=ResolutionError,
    ),
    Known(
        pattern=r"short-name .*|no unqualified-search registries",
        sentence="The image's name does not say from which registry it is",
        hint='write it whole, as "docker.io/library/debian:trixie"',
        error=ResolutionError,
    ),
    Known(
        pattern=r"no such host|connection refused|i/o timeout|network is unreachable|TLS handshake timeout",
        sentence="The registry cannot be reached",
        hint="check the network, proxies (https_proxy) and the name of the registry",
    ),
    Known(
        pattern=r"image not known|no such image|identifier is not an image",
        sentence="An image that rootlet kept for its stages is gone from their storage",
        hint="run it again with --no-cache",
        error=LostImageError,
    ),
    Known(
        pattern=r"image is in use by a container",
        sentence="An image is still used by a working container",
        hint="wait for the other build, or remove the storage of stages: rootlet cache clean",
        error=BuildError,
    ),
    Known(
        pattern=r"container not known|no such container",
        sentence="The working container of a stage was removed while the stage ran",
        hint="run it again; leave the storage of stages to rootlet",
        error=BuildError,
    ),
    Known(
        pattern=r"driver not supported|prior storage driver .* failed|unknown (?:storage )?driver"
        r"|database .* mismatch|overwriting graph driver",
        sentence="The storage of stages was made with a driver that does not work here any more",
        hint="rootlet cache clean removes it; it is made again",
    ),
    Known(
        pattern=r"lchown .*: invalid argument|potentially insufficient UIDs or GIDs",
        sentence="The stage's files have owners beyond this user's subordinate numbers",
        hint="sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER",
    ),
    Known(
        pattern=r"fork/exec /bin/sh: no such file|/bin/sh: no such file|exec.* .*/bin/sh.* not found",
        running=True,
        sentence="The stage has no shell for commands that are written as strings",
        hint='write the command as an array, ["/path/to/program", "argument"], or install a shell',
        error=BuildError,
    ),
    Known(
        pattern=r"checking on sources under|no such file or directory.*checking on sources",
        sentence="A path to copy is not there",
        hint="paths of copy start at the recipe's folder",
        error=BuildError,
    ),
    Known(
        pattern=r"exec format error",
        running=True,
        sentence="The stage's programs are for another processor",
        hint="sudo apt-get install qemu-user-static binfmt-support",
    ),
    Known(
        pattern=r"invalid signature policy|open .*policy\.json",
        sentence="The signature policy of images cannot be read",
        hint="install containers-common, or repair /etc/containers/policy.json",
    ),
)
"""Looked at in this order: the cause before what follows from it."""


def find(text: str, *, running: bool = False) -> Known | None:
    """Find the first known failure that ``text`` speaks of; ``running``: commands of a stage wrote it too."""
    rows = (known for known in TABLE if known.running or not running)
    return next((known for known in rows if re.search(known.pattern, text, re.IGNORECASE)), None)


def translate(text: str, *, running: bool = False) -> RootletError | None:
    """Return the error for what a program printed; None when nobody has met it yet."""
    known = find(text, running=running)
    return None if known is None else known.error(known.sentence, hint=known.hint)


def explain(what: str, number: int) -> MachineError:
    """Return the error for a room that the kernel refused; ``number`` is an errno."""
    if number == errno.ENOSPC and "unshare" in what:
        hint = "the limit of namespaces is reached: sysctl user.max_user_namespaces user.max_net_namespaces"
    elif number in {errno.EPERM, errno.EACCES}:
        hint = "inside a container it must be allowed to make namespaces; rootlet doctor looks for the cause"
    else:
        hint = "rootlet doctor looks for the cause"
    return MachineError(f"The machine refused a room for a build stage ({what})", hint=hint)
