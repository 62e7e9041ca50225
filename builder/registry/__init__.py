"""Container registries: the OCI distribution specification v1.1 over ``builder.transport``.

Names, credentials, tokens, manifests and blobs as bytes; what is in them is read in ``builder.stored``.
https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md
"""
