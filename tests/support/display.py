"""An X server inside an image, held in memory, for programs that want a display."""

from __future__ import annotations

PACKAGES = ("dash", "coreutils", "xvfb")


def on_a_display(program: str) -> tuple[str, ...]:
    """Start the server, wait until it answers, and run the shell's command ``program`` on it; its status."""
    script = f"""
        mkfifo /tmp/number
        Xvfb -displayfd 3 3>/tmp/number 2>/tmp/errors &
        if ! read -r number </tmp/number; then cat /tmp/errors; exit 3; fi
        export DISPLAY=:$number LC_ALL=C.UTF-8
        {program}
        status=$?
        kill $!
        exit $status
    """
    return ("sh", "-c", script)
