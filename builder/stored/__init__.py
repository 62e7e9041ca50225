"""Images that exist, of any make: their blobs, documents, layers and the trees that containers see."""
