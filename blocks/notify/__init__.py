"""Receivers of messages beside Prefect's own notification blocks, and bounds for what any of them answers."""
