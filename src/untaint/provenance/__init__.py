"""Where every byte came from: sources, digests, manifest, Merkle tree, signatures, verification, attestation."""
