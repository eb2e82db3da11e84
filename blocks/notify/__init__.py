"""Receivers of messages beside Prefect's own notification blocks."""
