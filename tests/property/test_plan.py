"""Any plan goes to JSON and back; anything else is refused in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.oci import Healthcheck, ImageConfig, Platform
from builder.plan.codec import plan_from_json, plan_to_json
from builder.plan.model import Entry, ImagePlan, Layer, PlannedPackage
from builder.reason import Reason, ReasonKind
from builder.sysroot import Content, Kind

# Names of files need not be UTF-8: surrogate escapes stand for the other bytes.
TEXT = st.text(
    st.characters(codec="utf-8") | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF), max_size=8
)
SIZE = st.integers(0, 1 << 40)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
PAIRS = st.dictionaries(TEXT, TEXT, max_size=3).map(lambda pairs: tuple(pairs.items()))
CONTENT = st.builds(
    Content,
    store=st.just(Path("/store/a.tar")),
    offset=SIZE,
    size=SIZE,
    sha256=st.sampled_from(["", "ab" * 32]),
)
ENTRY = st.builds(
    Entry,
    path=TEXT.map(lambda text: f"/{text}"),
    kind=st.sampled_from(Kind),
    mode=st.integers(0, 0o7777),
    uid=st.integers(0, 1 << 31),
    gid=st.integers(0, 1 << 31),
    content=st.none() | st.binary(max_size=8) | CONTENT,
    target=TEXT,
    hardlink=TEXT,
    xattrs=st.dictionaries(TEXT, st.binary(max_size=4), max_size=2).map(lambda pairs: tuple(pairs.items())),
    package=TEXT,
    reason=st.builds(Reason, st.sampled_from(ReasonKind), TEXT, TEXT),
)
CONFIG = st.builds(
    ImageConfig,
    entrypoint=TEXTS,
    cmd=TEXTS,
    env=st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple),
    user=TEXT,
    workdir=TEXT,
    ports=TEXTS,
    volumes=TEXTS,
    labels=PAIRS,
    stop_signal=TEXT,
    healthcheck=st.none() | st.builds(Healthcheck, test=TEXTS, interval=SIZE, retries=SIZE),
)
PACKAGE = st.builds(
    PlannedPackage,
    name=TEXT,
    version=TEXT,
    architecture=TEXT,
    source_name=TEXT,
    source_version=TEXT,
    files=SIZE,
    size=SIZE,
    installed_size=SIZE,
)
PLAN = st.builds(
    ImagePlan,
    platform=st.sampled_from([Platform("linux", "amd64"), Platform("linux", "arm", "v7")]),
    config=CONFIG,
    annotations=PAIRS,
    layers=st.lists(
        st.builds(Layer, entries=st.lists(ENTRY, max_size=3).map(tuple), comment=TEXT), max_size=2
    ).map(tuple),
    packages=st.lists(PACKAGE, max_size=2).map(tuple),
    created=SIZE,
    distribution=TEXT,
    warnings=TEXTS,
)


@settings(max_examples=60, deadline=None)
@given(PLAN)
def test_any_plan_goes_to_json_and_back(plan: ImagePlan) -> None:
    text = plan_to_json(plan)
    assert text.isascii()
    assert plan_from_json(text) == plan
    assert plan_to_json(plan_from_json(text)) == text


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
EMPTY = ImagePlan(
    platform=Platform("linux", "amd64"),
    config=ImageConfig(healthcheck=Healthcheck(test=("CMD",))),
    annotations=(),
    layers=(
        Layer(entries=(Entry(path="/", kind=Kind.DIRECTORY, mode=0o755, reason=Reason(ReasonKind.KEEP)),)),
    ),
    packages=(),
    created=0,
    distribution="",
)


@given(st.sampled_from(sorted(json.loads(plan_to_json(EMPTY)))), JSON)
def test_a_plan_with_a_wrong_part_is_read_or_refused(key: str, value: object) -> None:
    document = json.loads(plan_to_json(EMPTY))
    document[key] = value
    try:
        plan_from_json(json.dumps(document))
    except ValueError:
        return


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", "1", '"x"', "{}", '{"format": 2}', "[" * 100_000, '{"format": 1}'),
        plan_to_json(EMPTY).replace('"directory"', '"socket"'),
        plan_to_json(EMPTY).replace('"KEEP"', '"MAGIC"'),
        plan_to_json(EMPTY).replace('"0755"', '"0888"'),
        plan_to_json(EMPTY).replace('"reason": [', '"reason": ["x", '),
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        plan_from_json(text)
