"""A summary of a finished build."""

from __future__ import annotations

from builder.oci import Digest, Platform
from builder.report.build import BuildSummary, PlatformSummary

DIGEST = Digest.parse(f"sha256:{'ab' * 32}")
PLATFORM = PlatformSummary(
    platform=Platform("linux", "arm", "v7"),
    manifest=DIGEST,
    config=DIGEST,
    compressed=3_000_000,
    size=7_200_000,
    files=1234,
    packages=3,
    full_size=72_000_000,
    full_files=9876,
    full_packages=12,
    findings=(("high", 2), ("low", 5)),
    waived=1,
    database="Debian, 2026-11-01",
    warnings=("/usr/bin/odd\udcff was not proven",),
)
SUMMARY = BuildSummary(
    name="shop/api",
    digest=DIGEST,
    references=("shop/api:1", "shop/api:latest"),
    outputs=("oci:/dist/api:1",),
    platforms=(PLATFORM,),
    seconds=1.25,
)
