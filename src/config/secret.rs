//! Secrets: where they come from, and a value that does not show itself.
