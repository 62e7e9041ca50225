"""What is attached to an image: at registries that list it, and at those that do not."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from builder.image.referrers import Attachment, attach, referrers
from builder.oci import MEDIA_TYPE_MANIFEST, Descriptor, Digest
from builder.progress import Silent
from builder.registry.credentials import Keyring
from builder.registry.name import Repository
from builder.registry.session import Registries
from builder.transport import Transport
from tests.support.registry import Helpers, fake_registry, put_image

KIND = "application/vnd.cyclonedx+json"


@pytest.mark.parametrize("lists", [True, False], ids=["a registry that lists", "one that does not"])
def test_attachments_are_found_again(tmp_path: Path, *, lists: bool) -> None:
    with fake_registry(referrers=lists) as fake, Transport(progress=Silent(), retries=0) as transport:
        there = put_image(fake, b"")
        subject = Descriptor(
            media_type=MEDIA_TYPE_MANIFEST, digest=Digest.parse(there["digest"]), size=there["size"]
        )
        repository = Repository(registry=fake.host, path="app")
        session = Registries(transport, Keyring((), Helpers()), time.time, insecure=frozenset())
        assert referrers(session, repository, subject.digest) == ()
        made = []
        for name in ("one", "two", "two"):
            (tmp_path / name).write_text(f'{{"name": "{name}"}}')
            attachment = Attachment(path=tmp_path / name, kind=KIND, annotations=(("name", name),))
            made.append(attach(session, repository, subject, attachment, tmp_path))
        found = referrers(session, repository, subject.digest)
        assert {one.digest for one in found} == set(made)
        assert len(found) == 2
        document = json.loads(fake.manifests["app", str(made[0])][1])
        assert document["artifactType"] == KIND
        assert document["subject"]["digest"] == there["digest"]
        assert fake.blobs["app", document["layers"][0]["digest"]] == b'{"name": "one"}'
        tag = there["digest"].replace(":", "-")
        assert (("app", tag) in fake.manifests) is not lists
