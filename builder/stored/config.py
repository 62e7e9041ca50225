"""The image configuration (OCI config.md) as it is read: what a container starts with, and its layers."""

from __future__ import annotations

from dataclasses import dataclass

from builder.errors import BuildError
from builder.oci import Digest, Healthcheck, ImageConfig, Platform
from builder.stored.fields import (
    Object,
    canonical,
    child,
    children,
    integer,
    pairs,
    parse_object,
    text,
    texts,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFile:
    """A configuration as read.

    ``created`` is text as written, "" when absent. ``history`` counts the layers that the history tells of
    (entries without ``empty_layer``), None where there is no history.
    """

    platform: Platform
    created: str
    config: ImageConfig
    diff_ids: tuple[Digest, ...]
    history: int | None
    past: tuple[str, ...] = ()
    """The entries of the history, as JSON."""


def parse_config(payload: bytes, where: str) -> ConfigFile:
    """Read a configuration that anyone wrote. BuildError naming the member that is wrong."""
    document = parse_object(payload, where)
    rootfs = child(document, "rootfs", where)
    history = children(document, "history", where)
    layers = sum(1 for entry in history if entry.get("empty_layer") is not True)
    platform = Platform(
        text(document, "os", where, default="linux"),
        text(document, "architecture", where, default=""),
        text(document, "variant", where, default=""),
    )
    return ConfigFile(
        platform=platform,
        created=text(document, "created", where, default=""),
        config=_parse_container(child(document, "config", where), where),
        diff_ids=_parse_digests(texts(rootfs, "diff_ids", where), where),
        history=layers if history else None,
        past=tuple(canonical(entry).decode() for entry in history),
    )


def _parse_container(fields: Object, where: str) -> ImageConfig:
    env = (item.partition("=") for item in texts(fields, "Env", where))
    health = child(fields, "Healthcheck", where)
    return ImageConfig(
        entrypoint=texts(fields, "Entrypoint", where),
        cmd=texts(fields, "Cmd", where),
        env=tuple((name, value) for name, _, value in env),
        user=text(fields, "User", where, default=""),
        workdir=text(fields, "WorkingDir", where, default=""),
        ports=tuple(sorted(child(fields, "ExposedPorts", where))),
        volumes=tuple(sorted(child(fields, "Volumes", where))),
        labels=pairs(fields, "Labels", where),
        stop_signal=text(fields, "StopSignal", where, default=""),
        healthcheck=_parse_health(health, where) if health else None,
    )


def _parse_health(fields: Object, where: str) -> Healthcheck:
    return Healthcheck(
        test=texts(fields, "Test", where),
        interval=integer(fields, "Interval", where, default=0),
        timeout=integer(fields, "Timeout", where, default=0),
        start_period=integer(fields, "StartPeriod", where, default=0),
        retries=integer(fields, "Retries", where, default=0),
    )


def _parse_digests(names: tuple[str, ...], where: str) -> tuple[Digest, ...]:
    try:
        return tuple(Digest.parse(name) for name in names)
    except ValueError as error:
        raise BuildError(f"{where}: {error}") from error
