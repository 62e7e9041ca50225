"""The image configuration (OCI config.md): what a container starts with and which layers make its root."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from builder.errors import BuildError
from builder.image.fields import Object, canonical, child, children, integer, pairs, parse_object, text, texts
from builder.oci import Digest, Healthcheck, ImageConfig, Platform
from builder.plan.model import ImagePlan

CREATED_BY = "rootlet"


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


def rfc3339(created: int) -> str:
    """``2026-11-22T10:00:00Z``. BuildError for seconds outside the years 1970 to 9999."""
    try:
        moment = dt.datetime.fromtimestamp(max(created, 0), dt.UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise BuildError(f"The image's time {created} is no time: it is past the year 9999") from error
    if created < 0:
        raise BuildError(f"The image's time {created} is before 1970")
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def config_bytes(plan: ImagePlan, diff_ids: tuple[Digest, ...]) -> bytes:
    """Give the configuration of ``plan`` over layers with ``diff_ids``, in canonical bytes.

    It holds nothing of the machine: the time is the plan's, the history says "rootlet".
    """
    created = rfc3339(plan.created)
    history = [
        {
            "created": created,
            "created_by": CREATED_BY,
            **({"comment": layer.comment} if layer.comment else {}),
        }
        for layer in plan.layers
    ]
    document: dict[str, Any] = {
        "created": created,
        "os": plan.platform.os,
        "architecture": plan.platform.architecture,
        "config": _container(plan.config),
        "rootfs": {"type": "layers", "diff_ids": [str(digest) for digest in diff_ids]},
        "history": history,
    }
    if plan.platform.variant:
        document["variant"] = plan.platform.variant
    return canonical(document)


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
    )


def _container(config: ImageConfig) -> dict[str, Any]:
    members: dict[str, Any] = {
        "User": config.user,
        "ExposedPorts": {port: {} for port in config.ports},
        "Env": [f"{name}={value}" for name, value in config.env],
        "Entrypoint": list(config.entrypoint),
        "Cmd": list(config.cmd),
        "Volumes": {volume: {} for volume in config.volumes},
        "WorkingDir": config.workdir,
        "Labels": dict(config.labels),
        "StopSignal": config.stop_signal,
        "Healthcheck": _health(config.healthcheck) if config.healthcheck else None,
    }
    return {name: value for name, value in members.items() if value}


def _health(check: Healthcheck) -> dict[str, Any]:
    members: dict[str, Any] = {
        "Test": list(check.test),
        "Interval": check.interval,
        "Timeout": check.timeout,
        "StartPeriod": check.start_period,
        "Retries": check.retries,
    }
    return {name: value for name, value in members.items() if value}


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
