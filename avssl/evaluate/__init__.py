"""One file a protocol; metrics are pure functions of arrays."""
