"""Byte code of Python's files (PEP 552): unchecked, so that no time stamp is in it, and the same everywhere.

Only the Python of the image's version makes the byte code that it reads; rootlet's own is asked for it. Files
are compiled, which runs nothing of them. They are written without references between equal objects, whose
presence would depend on what the process did before.
"""

from __future__ import annotations

import importlib.util
import marshal
import sys
import warnings
from collections.abc import Iterator

from builder.errors import MachineError
from builder.sources.pypi.target import Target

_FLAGS = (0b01).to_bytes(4, "little")
"""Hash-based and not checked against the source."""
_VERSION = 2
"""Of marshal: the last one without references."""
_LARGEST = 4 << 20


class Compiler:
    """Compiles for ``target``. MachineError when rootlet runs on another version of Python."""

    def __init__(self, target: Target) -> None:
        own = f"{sys.version_info[0]}.{sys.version_info[1]}"
        if own != target.python or sys.implementation.name != "cpython":
            raise MachineError(
                f"Byte code for Python {target.python} is made by that version only; rootlet runs on {own}",
                hint=f"run rootlet with Python {target.python}, or say bytecode = false",
            )
        self._tag = f"cpython-3{target.minor}"

    def compiled(self, path: str, source: bytes) -> Iterator[tuple[str, bytes]]:
        """Path and bytes of what Python would make of ``source``; nothing for what does not compile."""
        if len(source) > _LARGEST:
            return
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                code = compile(source, path, "exec", dont_inherit=True, optimize=0)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
            return  # as pip: a template, or for another version
        folder, _, name = path.rpartition("/")
        head = importlib.util.MAGIC_NUMBER + _FLAGS + importlib.util.source_hash(source)
        yield (
            f"{folder}/__pycache__/{name.removesuffix('.py')}.{self._tag}.pyc",
            head + marshal.dumps(code, _VERSION),
        )
