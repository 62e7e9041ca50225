"""What was seen of an image's files, and where it is not what the policy asks for."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from builder.oci import ImageConfig


class Hardening(enum.Enum):
    """A protection that a compiler and linker give a program."""

    PIE = "pie"
    RELRO = "relro"
    BIND_NOW = "bind-now"
    NX = "nx"
    CANARY = "canary"
    RPATH = "rpath"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sightings:
    """Paths that a policy may speak of, sorted. ``secrets`` and ``soft`` carry words: (path, what it is).

    ``soft`` are programs and libraries that lack a protection: (path, name of the protection).
    """

    shells: tuple[str, ...] = ()
    managers: tuple[str, ...] = ()
    setuid: tuple[str, ...] = ()
    world_writable: tuple[str, ...] = ()
    secrets: tuple[tuple[str, str], ...] = ()
    soft: tuple[tuple[str, Hardening], ...] = ()
    size: int = 0
    """Bytes of all regular files, hard links once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What an image says of itself. ``bases`` are the images it was made from, as they were named."""

    config: ImageConfig
    bases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """One point in which an image is not what the policy asks for. ``check`` is the key of [policy]."""

    check: str
    message: str
    fix: str
