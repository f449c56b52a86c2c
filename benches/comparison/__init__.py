"""The rooms of `benches/compare`."""
