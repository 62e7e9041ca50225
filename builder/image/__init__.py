"""OCI images: layer tar, compression, configuration, manifest, layout, archives, validation."""
