"""The image configuration (OCI config.md) as it is written: what a container starts with, and its layers."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from builder.errors import BuildError
from builder.oci import Digest, Healthcheck, ImageConfig
from builder.plan.model import ImagePlan, PlannedBase
from builder.stored.fields import (
    canonical,
)

CREATED_BY = "rootlet"


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
    own = [
        {
            "created": created,
            "created_by": CREATED_BY,
            **({"comment": layer.comment} if layer.comment else {}),
        }
        for layer in plan.layers
    ]
    history = [*(_history(plan.base, created) if plan.base is not None else []), *own]
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


def _history(base: PlannedBase, created: str) -> list[Mapping[str, Any]]:
    """What the base says of its layers; something as long as it where it does not tell of each of them."""
    told: list[Mapping[str, Any]] = [json.loads(entry) for entry in base.history]
    if sum(entry.get("empty_layer") is not True for entry in told) == len(base.layers):
        return told
    return [{"created": created, "created_by": "base"} for _ in base.layers]


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
