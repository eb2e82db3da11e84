"""How well the expected end of a release is estimated."""
