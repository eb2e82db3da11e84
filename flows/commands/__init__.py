"""The commands of `shipway`, one a file."""
