//! What is wrong with a configuration, for the operator who can mend it.
