"""Notifications: a Prefect event for each fact, and a message to each of the plan's notification blocks, once each, by an outbox."""

from tasks.notify.alerts import alert, announce, deliver_due, tell

__all__ = ["alert", "announce", "deliver_due", "tell"]
