//! The configuration as written. No rule lives here; see [`super`].
