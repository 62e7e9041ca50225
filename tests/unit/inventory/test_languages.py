from __future__ import annotations

import json

import pytest

from builder.inventory.collect import take_inventory
from builder.inventory.model import Inventory
from tests.support.archives import manifest, pom_properties, zipped
from tests.support.inventory import ELF, OS_RELEASE, paragraph, tree

SITE = "/usr/local/lib/python3.11/site-packages"
WHEEL = "Metadata-Version: 2.1\nName: Flask.Login\nVersion: 0.6.3\n\nName: not this\nVersion: 9\n"


def inventory(files: dict[str, str | bytes]) -> Inventory:
    return take_inventory(tree(files))


def listed(found: Inventory) -> list[tuple[str, str, str]]:
    return [(one.kind.value, one.name, one.version) for one in found.components]


@pytest.mark.parametrize(
    ("path", "payload"),
    [
        pytest.param(f"{SITE}/Flask_Login-0.6.3.dist-info/METADATA", WHEEL, id="a wheel's dist-info"),
        pytest.param(f"{SITE}/Flask_Login.egg-info/PKG-INFO", WHEEL, id="an egg-info folder"),
        pytest.param(f"{SITE}/Flask_Login-0.6.3.egg-info", WHEEL, id="an egg-info file"),
        pytest.param(f"{SITE}/F.egg/EGG-INFO/PKG-INFO", WHEEL, id="an unpacked egg"),
        pytest.param(f"{SITE}/F.egg", zipped({"EGG-INFO/PKG-INFO": WHEEL}), id="a zipped egg"),
        pytest.param(
            f"{SITE}/f.dist-info/METADATA", WHEEL.replace("\n", "\r\n"), id="lines that end as on Windows"
        ),
    ],
)
def test_python_distributions(path: str, payload: str | bytes) -> None:
    found = inventory({path: payload})
    assert listed(found) == [("pypi", "Flask.Login", "0.6.3")]
    assert found.components[0].purl == "pkg:pypi/flask-login@0.6.3"
    assert found.components[0].evidence == (path,)
    assert found.notes == ()


def test_a_wheel_s_native_files_belong_to_it() -> None:
    found = inventory(
        {
            f"{SITE}/ruff-1.dist-info/METADATA": "Name: ruff\nVersion: 1\n",
            f"{SITE}/ruff-1.dist-info/RECORD": "a/b.cpython-311.so,x,1\n../../../bin/ruff,,\na/c.py,,\n",
            f"{SITE}/a/b.cpython-311.so": ELF,
            "/usr/local/bin/ruff": ELF,
            f"{SITE}/a/other.so": ELF,
        }
    )
    assert found.unowned_elf == (f"{SITE}/a/other.so",)


def test_a_distribution_of_a_debian_package_is_the_package() -> None:
    place = "/usr/lib/python3/dist-packages/urllib3-1.26.12.egg-info/PKG-INFO"
    found = inventory(
        {
            "/var/lib/dpkg/status": paragraph("python3-urllib3", "1.26.12-1"),
            "/var/lib/dpkg/info/python3-urllib3.list": f"{place}\n",
            place: "Name: urllib3\nVersion: 1.26.12\n",
            f"{SITE}/urllib3-2.0.0.dist-info/METADATA": "Name: urllib3\nVersion: 2.0.0\n",
        }
    )
    assert listed(found) == [("deb", "python3-urllib3", "1.26.12-1"), ("pypi", "urllib3", "2.0.0")]


def test_one_package_in_two_places_is_one_component() -> None:
    package = json.dumps({"name": "ms", "version": "2.0.0"})
    places = ("/app/node_modules/ms/package.json", "/app/node_modules/a/node_modules/ms/package.json")
    found = inventory(dict.fromkeys(places, package))
    assert listed(found) == [("npm", "ms", "2.0.0")]
    assert found.components[0].evidence == tuple(sorted(places))


@pytest.mark.parametrize(
    ("path", "name", "seen"),
    [
        pytest.param("/app/node_modules/@babel/core/package.json", "@babel/core", True, id="of a scope"),
        pytest.param("/usr/share/nodejs/ms/package.json", "ms", True, id="where Debian puts them"),
        pytest.param("/opt/yarn-v1.2.3/package.json", "yarn", True, id="a release in a folder of its name"),
        pytest.param("/app/package.json", "npm", False, id="the project's own, named like a public one"),
        pytest.param("/app/node_modules/ms/dist/package.json", "ms", False, id="a folder inside of one"),
    ],
)
def test_npm_packages(path: str, name: str, *, seen: bool) -> None:
    found = inventory({path: json.dumps({"name": name, "version": "1.2.3"})})
    assert listed(found) == ([("npm", name, "1.2.3")] if seen else [])


def test_a_scope_is_the_namespace_of_a_purl() -> None:
    found = inventory({"/node_modules/@a/b/package.json": '{"name": "@a/b", "version": "1.0.0"}'})
    assert found.components[0].purl == "pkg:npm/%40a/b@1.0.0"


GEMSPEC = """# -*- encoding: utf-8 -*-
# stub: nokogiri 1.15.0 x86_64-linux lib

Gem::Specification.new do |s|
  s.name = "nokogiri".freeze
  s.version = "1.15.0"
  s.platform = "x86_64-linux".freeze
"""


def test_ruby_gems_and_their_native_files() -> None:
    home = "/usr/local/bundle"
    found = inventory(
        {
            f"{home}/specifications/nokogiri-1.15.0-x86_64-linux.gemspec": GEMSPEC,
            f"{home}/gems/nokogiri-1.15.0-x86_64-linux/lib/nokogiri.so": ELF,
            f"{home}/gems/other/x.gemspec": GEMSPEC,
        }
    )
    assert listed(found) == [("gem", "nokogiri", "1.15.0")]
    assert found.unowned_elf == ()


@pytest.mark.parametrize("form", [1, 2], ids=["Composer 1", "Composer 2"])
def test_php_packages(form: int) -> None:
    packages = [{"name": "a/b", "version": "v1.0.0"}, {"name": "c/d", "version": "2.0"}]
    document = packages if form == 1 else {"packages": packages, "dev-package-names": ["c/d"]}
    found = inventory({"/app/vendor/composer/installed.json": json.dumps(document)})
    assert listed(found) == [("composer", "a/b", "v1.0.0"), ("composer", "c/d", "2.0")]
    assert [one.development for one in found.components] == [False, form == 2]


def test_dotnet_packages_and_their_native_files() -> None:
    document = {
        "targets": {"net8.0": {"N/1.0.0": {"runtimeTargets": {"runtimes/linux/n.so": {}}}}},
        "libraries": {"N/1.0.0": {"type": "package"}, "App/1.0.0": {"type": "project"}},
    }
    found = inventory({"/app/App.deps.json": json.dumps(document), "/app/runtimes/linux/n.so": ELF})
    assert listed(found) == [("nuget", "N", "1.0.0")]
    assert found.unowned_elf == ()


LOG4J = pom_properties("org.apache.logging.log4j", "log4j-core", "2.14.1")
LOG4J_NAME = ("maven", "org.apache.logging.log4j:log4j-core", "2.14.1")


@pytest.mark.parametrize(
    ("name", "archive", "expected"),
    [
        pytest.param("log4j-core-2.14.1.jar", zipped(LOG4J), [LOG4J_NAME], id="pom.properties"),
        pytest.param("renamed.jar", zipped(LOG4J), [LOG4J_NAME], id="under another name"),
        pytest.param(
            "app-1.0.jar",
            zipped({**LOG4J, **pom_properties("a", "app", "1.0")}),
            [("maven", "a:app", "1.0"), LOG4J_NAME],
            id="shaded into another jar",
        ),
        pytest.param(
            "app.war",
            zipped({"WEB-INF/lib/log4j-core-2.14.1.jar": zipped(LOG4J)}),
            [LOG4J_NAME],
            id="in a war",
        ),
        pytest.param(
            "app.ear",
            zipped({"w.war": zipped({"l.jar": zipped(LOG4J)})}),
            [LOG4J_NAME],
            id="in a war in an ear",
        ),
        pytest.param(
            "boot.jar",
            zipped({"BOOT-INF/lib/l.jar": zipped(LOG4J)}, stored=True),
            [LOG4J_NAME],
            id="stored as it is",
        ),
        pytest.param(
            "boot.jar",
            zipped({"x.jar": zipped(LOG4J)}, before=b"#!/bin/sh\nexit\n"),
            [LOG4J_NAME],
            id="behind a script",
        ),
        pytest.param(
            "commons-lang3-3.12.0.jar",
            zipped(manifest(Bundle_SymbolicName="org.apache.commons.lang3", Implementation_Version="3.12.0")),
            [("maven", "org.apache.commons:commons-lang3", "3.12.0")],
            id="the manifest's bundle",
        ),
        pytest.param(
            "tomcat-coyote.jar",
            zipped(manifest(Bundle_SymbolicName="org.apache.tomcat-coyote", Implementation_Version="10.1.1")),
            [("maven", "org.apache.tomcat:tomcat-coyote", "10.1.1")],
            id="a bundle whose last word is the artifact",
        ),
        pytest.param(
            "x.jar",
            zipped(manifest(Implementation_Vendor_Id="com.example", Implementation_Version="1.5 (build 2)")),
            [("maven", "com.example:x", "1.5")],
            id="the manifest's vendor",
        ),
        pytest.param(
            "guava-31.1-jre.jar", zipped({"x": ""}), [("maven", "guava", "31.1-jre")], id="the name alone"
        ),
        pytest.param("plain.jar", zipped({"x": ""}), [], id="nothing says a version"),
    ],
)
def test_java_archives(name: str, archive: bytes, expected: list[tuple[str, str, str]]) -> None:
    found = inventory({f"/app/{name}": archive})
    assert listed(found) == expected
    assert found.notes == ()


def test_the_group_is_the_namespace_of_a_purl() -> None:
    found = inventory({"/l.jar": zipped(LOG4J)})
    assert found.components[0].purl == "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"


def deep(levels: int) -> bytes:
    archive = zipped(LOG4J)
    for number in range(levels):
        archive = zipped({f"{number}.jar": archive})
    return archive


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        pytest.param(b"rubbish", "it is no ZIP archive", id="no archive"),
        pytest.param(zipped(LOG4J)[:-30], "it is no ZIP archive, or cut off", id="cut off"),
        pytest.param(deep(8), "lies too deep", id="nested too deeply"),
        pytest.param(zipped({"a.jar": bytes(200 << 20)}), "is larger than", id="a bomb inside"),
        pytest.param(
            zipped({"META-INF/MANIFEST.MF": bytes(5 << 20)}), "is larger than", id="a manifest of absurd size"
        ),
    ],
)
def test_hostile_archives_are_noted(archive: bytes, reason: str) -> None:
    (note,) = inventory({"/x.jar": archive}).notes
    assert note.startswith("/x.jar: ")
    assert reason in note


def test_damage_in_a_file_of_a_package_is_the_package_s_affair() -> None:
    found = inventory(
        {
            "/var/lib/dpkg/status": paragraph("a", "1"),
            "/var/lib/dpkg/info/a.list": "/x.jar\n",
            "/x.jar": b"rubbish",
            "/etc/os-release": OS_RELEASE,
        }
    )
    assert found.notes == ()


@pytest.mark.parametrize(
    ("path", "payload", "reason"),
    [
        pytest.param("/node_modules/a/package.json", "[" * 100_000, "nested too deeply", id="deep JSON"),
        pytest.param("/node_modules/a/package.json", "{", "no JSON", id="no JSON"),
        pytest.param("/node_modules/a/package.json", "[]", "no JSON object", id="another JSON"),
        pytest.param(
            "/node_modules/a/package.json", "[0" + ",0" * 1_000_001 + "]", "too many values", id="long JSON"
        ),
        pytest.param(
            f"{SITE}/a.dist-info/METADATA", "Name: a\n", "no version", id="metadata without a version"
        ),
        pytest.param(
            "/x/specifications/a.gemspec", "s.name = 1\n", "no name or no version", id="an empty gemspec"
        ),
        pytest.param(f"{SITE}/a.egg", b"PK", "no ZIP archive", id="an egg that is none"),
    ],
)
def test_damaged_files_are_noted(path: str, payload: str, reason: str) -> None:
    (note,) = inventory({path: payload}).notes
    assert note.startswith(f"{path}: ")
    assert reason in note


@pytest.mark.parametrize(
    ("implementor", "name"), [("Eclipse Adoptium", "openjdk"), ("Oracle Corporation", "jdk")]
)
def test_java_runtimes(implementor: str, name: str) -> None:
    text = f'IMPLEMENTOR="{implementor}"\nJAVA_VERSION="17.0.9"\nJAVA_RUNTIME_VERSION="17.0.9+9"\n'
    assert listed(inventory({"/opt/java/openjdk/release": text})) == [("generic", name, "17.0.9+9")]


BILL = {
    "bomFormat": "CycloneDX",
    "components": [
        {"purl": "pkg:cargo/serde@1.0.1", "components": [{"purl": "pkg:cargo/itoa@1.0.2"}]},
        {
            "purl": "pkg:deb/debian/libssl3@3.0.11-1?arch=amd64&epoch=1&distro=debian-12",
            "properties": [
                {"name": "aquasecurity:trivy:SrcName", "value": "openssl"},
                {"name": "aquasecurity:trivy:SrcVersion", "value": "3.0.11"},
                {"name": "aquasecurity:trivy:SrcRelease", "value": "1"},
                {"name": "aquasecurity:trivy:SrcEpoch", "value": "1"},
            ],
        },
        {"purl": "pkg:github/a/b@1"},
        {"purl": "pkg:cargo/cc@1.0.0", "scope": "excluded"},
        {"name": "without a purl"},
    ],
}
CLAIMS = [("deb", "libssl3", "1:3.0.11-1"), ("cargo", "itoa", "1.0.2"), ("cargo", "serde", "1.0.1")]


@pytest.mark.parametrize(
    "path",
    ["/sbom.cdx.json", "/usr/share/x.cdx", f"{SITE}/r-1.dist-info/sboms/r.cyclonedx.json", "/app/bom.json"],
)
def test_bills_of_materials_add_what_they_claim(path: str) -> None:
    found = inventory({path: json.dumps(BILL)})
    assert listed(found) == CLAIMS
    assert all(one.claimed for one in found.components)
    deb = found.components[0]
    assert (deb.source_name, deb.source_version) == ("openssl", "1:3.0.11-1")


def test_spdx_and_syft_bills_are_read() -> None:
    reference = {"referenceType": "purl", "referenceLocator": "pkg:golang/golang.org/x/text@v0.3.7"}
    spdx = {"spdxVersion": "SPDX-2.3", "packages": [{"externalRefs": [reference]}]}
    syft = {"artifacts": [{"purl": "pkg:deb/debian/a@1-1%2Bb1?upstream=b%401-1"}], "descriptor": {}}
    found = inventory({"/opt/bitnami/x/.spdx-x.spdx": json.dumps(spdx), "/y.syft.json": json.dumps(syft)})
    assert listed(found) == [("deb", "a", "1-1+b1"), ("golang", "golang.org/x/text", "0.3.7")]
    assert (found.components[0].source_name, found.components[0].source_version) == ("b", "1-1")


def test_a_program_of_bitnami_is_known_by_its_bill() -> None:
    reference = {"referenceType": "purl", "referenceLocator": "pkg:bitnami/redis@7.2.4-0?arch=amd64"}
    text = json.dumps({"spdxVersion": "SPDX-2.3", "packages": [{"externalRefs": [reference]}]})
    assert listed(inventory({"/opt/bitnami/redis/.spdx-redis.spdx": text})) == [
        ("generic", "redis", "7.2.4-0")
    ]


def test_a_claim_never_contradicts_what_is_installed() -> None:
    status = paragraph("libssl3", "3.0.15-1", Source="openssl")
    found = inventory({"/a.cdx.json": json.dumps(BILL), "/var/lib/dpkg/status": status})
    assert ("deb", "libssl3", "3.0.15-1") in listed(found)
    assert ("deb", "libssl3", "1:3.0.11-1") not in listed(found)


def test_a_claim_that_is_seen_too_is_no_claim() -> None:
    found = inventory(
        {
            "/a.cdx.json": json.dumps(
                {"bomFormat": "CycloneDX", "components": [{"purl": "pkg:npm/ms@2.0.0"}]}
            ),
            "/node_modules/ms/package.json": '{"name": "ms", "version": "2.0.0"}',
        }
    )
    assert [(one.claimed, len(one.evidence)) for one in found.components] == [(False, 2)]
