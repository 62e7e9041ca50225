from __future__ import annotations

import json
from dataclasses import replace

import pytest

from builder.errors import BuildError
from builder.image.config import config_bytes, rfc3339
from builder.oci import (
    ANNOTATION_REF_NAME,
    MEDIA_TYPE_CONFIG,
    MEDIA_TYPE_LAYER_GZIP,
    MEDIA_TYPE_MANIFEST,
    Descriptor,
    Digest,
    Healthcheck,
    ImageConfig,
    Platform,
)
from builder.plan.model import Layer
from builder.stored.config import parse_config
from builder.stored.manifest import Manifest, index_bytes, manifest_bytes, parse_index, parse_manifest
from tests.support.images import plan_of

A, B = Digest("sha256", "a" * 64), Digest("sha256", "b" * 64)

FULL = ImageConfig(
    entrypoint=("/bin/demo",),
    cmd=("--all",),
    env=(("PATH", "/bin"), ("B", "x=y")),
    user="demo",
    workdir="/srv",
    ports=("8080/tcp",),
    volumes=("/data",),
    labels=(("b", "é"), ("a", "<1>")),
    stop_signal="SIGINT",
    healthcheck=Healthcheck(test=("CMD", "/bin/demo"), interval=5, timeout=4, start_period=3, retries=2),
)

CONFIG = (
    '{"architecture":"arm64","config":{"Cmd":["--all"],"Entrypoint":["/bin/demo"],"Env":["PATH=/bin","B=x=y"],'
    '"ExposedPorts":{"8080/tcp":{}},"Healthcheck":{"Interval":5,"Retries":2,"StartPeriod":3,"Test":["CMD",'
    '"/bin/demo"],"Timeout":4},"Labels":{"a":"<1>","b":"é"},"StopSignal":"SIGINT","User":"demo",'
    '"Volumes":{"/data":{}},"WorkingDir":"/srv"},"created":"2023-11-14T22:13:20Z","history":[{"comment":'
    '"libraries","created":"2023-11-14T22:13:20Z","created_by":"rootlet"}],"os":"linux","rootfs":{"diff_ids":'
    f'["{A}"],"type":"layers"}},"variant":"v8"}}'
)

MANIFEST = (
    '{"annotations":{"org.opencontainers.image.title":"demo"},"config":{"digest":"'
    + str(B)
    + '","mediaType":'
    '"application/vnd.oci.image.config.v1+json","size":9},"layers":[{"digest":"' + str(A) + '","mediaType":'
    '"application/vnd.oci.image.layer.v1.tar+gzip","size":5}],"mediaType":'
    '"application/vnd.oci.image.manifest.v1+json","schemaVersion":2}'
)

INDEX = (
    '{"manifests":[{"annotations":{"org.opencontainers.image.ref.name":"1.0"},"digest":"' + str(A) + '",'
    '"mediaType":"application/vnd.oci.image.manifest.v1+json","platform":{"architecture":"arm64","os":"linux",'
    '"variant":"v8"},"size":7}],"mediaType":"application/vnd.oci.image.index.v1+json","schemaVersion":2}'
)


def test_the_configuration_is_canonical() -> None:
    plan = replace(
        plan_of(Layer(entries=(), comment="libraries"), platform=Platform("linux", "arm64", "v8")),
        config=FULL,
    )
    assert config_bytes(plan, (A,)).decode() == CONFIG


def test_the_configuration_is_read_back() -> None:
    found = parse_config(CONFIG.encode(), "it")
    assert found.config == replace(FULL, labels=tuple(sorted(FULL.labels)))
    assert (found.platform, found.diff_ids, found.history) == (Platform("linux", "arm64", "v8"), (A,), 1)


def test_an_empty_configuration_says_nothing_about_the_container() -> None:
    plan = replace(plan_of(), config=ImageConfig())
    assert json.loads(config_bytes(plan, ()))["config"] == {}


def test_the_manifest_is_canonical_and_read_back() -> None:
    manifest = Manifest(
        config=Descriptor(media_type=MEDIA_TYPE_CONFIG, digest=B, size=9),
        layers=(Descriptor(media_type=MEDIA_TYPE_LAYER_GZIP, digest=A, size=5),),
        annotations=(("org.opencontainers.image.title", "demo"),),
    )
    assert manifest_bytes(manifest).decode() == MANIFEST
    assert parse_manifest(MANIFEST.encode(), "it") == manifest


def test_the_index_is_canonical_and_read_back() -> None:
    entry = Descriptor(
        media_type=MEDIA_TYPE_MANIFEST,
        digest=A,
        size=7,
        platform=Platform("linux", "arm64", "v8"),
        annotations=((ANNOTATION_REF_NAME, "1.0"),),
    )
    assert index_bytes((entry,)).decode() == INDEX
    assert parse_index(INDEX.encode(), "it") == (entry,)


@pytest.mark.parametrize(
    ("created", "text"), [(0, "1970-01-01T00:00:00Z"), (253402300799, "9999-12-31T23:59:59Z")]
)
def test_times_are_rfc3339_in_utc(created: int, text: str) -> None:
    assert rfc3339(created) == text


@pytest.mark.parametrize("created", [-1, 253402300800, 10**30])
def test_times_that_are_none_are_refused(created: int) -> None:
    with pytest.raises(BuildError, match="image's time"):
        rfc3339(created)


def test_text_that_is_not_unicode_is_refused() -> None:
    plan = replace(plan_of(), config=ImageConfig(user="\udcff"))
    with pytest.raises(BuildError, match="not Unicode"):
        config_bytes(plan, ())


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        pytest.param(b"{", "it is not JSON", id="cut off"),
        pytest.param(b"\xff", "it is not JSON", id="not UTF-8"),
        pytest.param(b"[" * 100_000, "it is not JSON", id="nested beyond measure"),
        pytest.param(b'{"a":' + b"9" * 10_000 + b"}", "it is not JSON", id="a number beyond measure"),
        pytest.param(b"[]", "it is not a JSON object", id="a list"),
        pytest.param(b'{"schemaVersion":1}', "schema version 1", id="an old schema"),
        pytest.param(b'{"schemaVersion":true}', "'schemaVersion' is not a whole number", id="a boolean"),
        pytest.param(b'{"schemaVersion":2,"layers":{}}', "'digest' is not a string", id="no configuration"),
        pytest.param(
            b'{"schemaVersion":2,"config":{"digest":"../../x","mediaType":"","size":1}}',
            "it: config: not a digest",
            id="a digest that is a path",
        ),
        pytest.param(
            MANIFEST.replace('"size":5', '"size":-5').encode(), r"layers\[0\]: 'size'", id="a negative size"
        ),
        pytest.param(
            MANIFEST.replace('"demo"', "1").encode(), "'annotations' is not an object of strings", id="types"
        ),
    ],
)
def test_a_manifest_that_is_wrong_is_an_error(payload: bytes, message: str) -> None:
    with pytest.raises(BuildError, match=message):
        parse_manifest(payload, "it")


@pytest.mark.parametrize("field", ["Env", "Entrypoint", "ExposedPorts", "Labels", "Healthcheck", "User"])
def test_a_configuration_with_a_wrong_type_is_an_error(field: str) -> None:
    with pytest.raises(BuildError, match=field):
        parse_config(json.dumps({"config": {field: 7}}).encode(), "it")


def test_nulls_of_docker_are_absent_members() -> None:
    payload = b'{"os":"linux","architecture":"amd64","config":{"Env":null,"Labels":null},"history":null}'
    assert parse_config(payload, "it").config == ImageConfig()
