"""Notifications: a Prefect event for each fact, and a message to each of the plan's notification blocks, once each, by an outbox."""

from tasks.notify.alerts import alert, announce, notify
from tasks.notify.outbox import deliver_due
from tasks.notify.unobserved import tell_unobserved, with_unobserved_told

__all__ = ["alert", "announce", "deliver_due", "notify", "tell_unobserved", "with_unobserved_told"]
