"""trivy and grype as pure constructors of commands: their gates and filters off, JSON on standard output."""

from __future__ import annotations

from pathlib import Path

from builder.engine.command import Command


def trivy_layout(program: str, layout: Path) -> Command:
    """Judge an OCI layout that holds one image."""
    return Command(
        argv=(
            *(program, "image", "--input", str(layout), "--format", "json", "--list-all-pkgs", "--quiet"),
            *(
                "--scanners",
                "vuln",
                "--exit-code",
                "0",
                "--ignorefile",
                "/dev/null",
                "--ignore-unfixed=false",
            ),
            *("--severity", "UNKNOWN,LOW,MEDIUM,HIGH,CRITICAL"),
        ),
        description="trivy",
    )


def trivy_version(program: str) -> Command:
    """Version and data of trivy, as JSON."""
    return Command(argv=(program, "version", "--format", "json"), description="trivy version", timeout=60)


def grype_layout(program: str, layout: Path) -> Command:
    """Judge an OCI layout that holds one image."""
    return Command(
        argv=(program, f"oci-dir:{layout}", "-o", "json", "-q", "--config", "/dev/null"), description="grype"
    )
