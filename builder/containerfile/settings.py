"""The image configuration as instructions of the last stage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from builder.containerfile.quote import exec_form, instruction_word, path_form
from builder.oci import Healthcheck, ImageConfig

_UNITS = (("h", 3600 * 10**9), ("m", 60 * 10**9), ("s", 10**9), ("ms", 10**6), ("us", 10**3))


def instructions(config: ImageConfig, base: ImageConfig) -> Iterator[tuple[str, ...]]:
    """Lines of each instruction that makes ``config`` of what the last stage starts ``base`` with."""
    if config.labels != base.labels:
        yield pairs("LABEL", config.labels)
    if config.env != base.env:
        yield pairs("ENV", config.env)
    if config.workdir != base.workdir:
        yield (f"WORKDIR {instruction_word(config.workdir or '/')}",)
    yield from ((f"EXPOSE {port}",) for port in config.ports if port not in base.ports)
    volumes = [volume for volume in config.volumes if volume not in base.volumes]
    yield from [(f"VOLUME {path_form(volumes)}",)] if volumes else []
    yield from _process(config, base)


def _process(config: ImageConfig, base: ImageConfig) -> Iterator[tuple[str, ...]]:
    if config.stop_signal != base.stop_signal:
        yield (f"STOPSIGNAL {instruction_word(config.stop_signal or 'SIGTERM')}",)
    if config.healthcheck != base.healthcheck:
        yield (_health(config.healthcheck),)
    if config.user != base.user:
        yield from _user(config.user or "root")
    # An ENTRYPOINT takes away the CMD of the base.
    if config.entrypoint != base.entrypoint:
        yield (f"ENTRYPOINT {exec_form(config.entrypoint)}",)
    if config.cmd != base.cmd or (config.entrypoint != base.entrypoint and config.cmd):
        yield (f"CMD {exec_form(config.cmd)}",)


_UNSAYABLE = "a Dockerfile cannot hold line ends and other control characters here"


def missing_form(config: ImageConfig) -> Iterator[tuple[tuple[str, ...], str]]:
    """Key of the recipe and reason for everything that no Dockerfile can say."""
    health = config.healthcheck.test[1:] if config.healthcheck else ()
    shell = config.healthcheck is not None and config.healthcheck.test[:1] == ("CMD-SHELL",)
    texts = [
        *((("image", "labels", name), name + value) for name, value in config.labels),
        *((("config", "env", name), name + value) for name, value in config.env),
        *((("config", "volumes"), volume) for volume in config.volumes),
        (("config", "workdir"), config.workdir),
        *((("config", "healthcheck", "test"), text) for text in health if shell),
    ]
    for key, text in texts:
        if not text.replace("\t", "").isprintable():
            yield key, _UNSAYABLE


def pairs(name: str, found: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Lines of one instruction with all pairs."""
    words = [f"{instruction_word(key)}={instruction_word(value)}" for key, value in found]
    return _continued(f"{name} ", words)


def _continued(start: str, words: list[str]) -> tuple[str, ...]:
    indent = " " * len(start)
    lines = [f"{start if number == 0 else indent}{word}" for number, word in enumerate(words)]
    return tuple(f"{line} \\" if number < len(lines) - 1 else line for number, line in enumerate(lines))


def _user(user: str) -> Iterator[tuple[str, ...]]:
    # The image says who it is as the recipe does: by name, or root on purpose.
    rules = [
        *(["DL3002"] if user.partition(":")[0] in {"root", "0"} else []),
        *([] if user.replace(":", "").isdecimal() else ["DL3066"]),
    ]
    ignored = (f"# hadolint ignore={','.join(rules)}",) if rules else ()
    yield (*ignored, f"USER {instruction_word(user)}")


def _health(check: Healthcheck | None) -> str:
    if check is None or check.test[:1] in {(), ("NONE",)}:
        return "HEALTHCHECK NONE"
    times = (("interval", check.interval), ("timeout", check.timeout), ("start-period", check.start_period))
    options = [f"--{name}={_duration(value)} " for name, value in times if value]
    options += [f"--retries={check.retries} "] if check.retries else []
    shell = check.test[0] == "CMD-SHELL"
    command = check.test[1] if shell else exec_form(check.test[1:] if check.test[0] == "CMD" else check.test)
    return f"HEALTHCHECK {''.join(options)}CMD {command}"


def _duration(nanoseconds: int) -> str:
    """As Go reads it: the largest unit that divides it."""
    for unit, size in _UNITS:
        if nanoseconds % size == 0:
            return f"{nanoseconds // size}{unit}"
    return f"{nanoseconds}ns"
