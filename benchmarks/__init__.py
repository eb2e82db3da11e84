"""Measurements; each package runs by itself and prints what it saw."""
