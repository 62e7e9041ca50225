"""Shared by every test: a machine that claims to be complete may skip nothing."""

from __future__ import annotations

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: at the end of a run no worker waits for one of them."""
    items.sort(key=lambda item: "integration" not in item.path.parts)


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not os.environ.get("ROOTLET_COMPLETE"):
        return
    skipped = reporter.stats.get("skipped", [])
    if skipped and session.exitstatus == pytest.ExitCode.OK:
        reporter.write_line(f"{len(skipped)} tests were skipped on a machine that should have everything")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
