"""How long `shipway history` and `shipway metrics` take with many releases."""
