"""Values of secrets: from the environment or a file, as the recipe or the command line says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from builder.errors import MachineError
from builder.recipe.source_model import StageSecret

MOST_BYTES = 1 << 20


def secret_values(
    secrets: tuple[StageSecret, ...], given: Mapping[str, StageSecret], environment: Mapping[str, str]
) -> tuple[tuple[str, bytes], ...]:
    """Ids and values. ``given`` by the command line wins; without any word it is the variable of that name.

    MachineError for a secret that is not there.
    """
    return tuple((one.id, _value(given.get(one.id, one), environment)) for one in secrets)


def _value(secret: StageSecret, environment: Mapping[str, str]) -> bytes:
    if secret.file is not None:
        return _read(secret, secret.file)
    name = secret.env or secret.id
    if name in environment:
        return environment[name].encode("utf-8", "surrogateescape")
    hint = f"--secret {secret.id}=file:PATH or --secret {secret.id}=env:NAME"
    if secret.env:
        hint = f"export {secret.env}=…, or {hint}"
    raise MachineError(f"The secret {secret.id} of a stage has no value", hint=hint)


def _read(secret: StageSecret, path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            value = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise MachineError(
            f"The secret {secret.id} cannot be read from {path}: {error.strerror}",
            hint=f"--secret {secret.id}=file:PATH",
        ) from error
    if len(value) > MOST_BYTES:
        raise MachineError(f"The secret {secret.id} in {path} is longer than {MOST_BYTES >> 20} MiB")
    return value
