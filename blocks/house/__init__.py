"""The house: database, Prefect server and worker on one machine, kept alive by one small supervisor."""
