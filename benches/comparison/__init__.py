"""The modules of `benches/compare`."""
