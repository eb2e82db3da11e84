"""What scripts cost: on many hosts against a bare loop over them, and in a release against the bare script."""
