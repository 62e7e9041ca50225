"""The proof of a rule of libsensors: a voltage is that of the wire only where the chip's divider is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.rule_lab import Lab, Proof, make_lab

pytestmark = [pytest.mark.network, pytest.mark.tools]

_VOLTAGE = Proof(
    rule="sensor-settings",
    packages=("sysstat",),
    argv=("sar.sysstat", "-m", "IN", "1", "1"),
    expect=r"f81865f-virtual-0[\s\S]*Average: +0 +2\.40",
    without=r"Average: +0 +1\.20",
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One lab for all proofs."""
    yield from make_lab(tmp_path_factory.mktemp("lab"))


def test_without_it_a_program_measures_half_the_voltage(lab: Lab, tmp_path: Path) -> None:
    chip = tmp_path / "hwmon/hwmon0"
    chip.mkdir(parents=True)
    for name, value in (("name", "f81865f"), ("in0_input", "1200"), ("in0_min", "0"), ("in0_max", "3000")):
        (chip / name).write_text(f"{value}\n")
    # libsensors wants a real sysfs; what it reads there is the chip made here.
    lab.check(replace(_VOLTAGE, mounts={"/sys": Path("/sys"), "/sys/class": tmp_path}))
