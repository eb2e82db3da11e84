"""Notifications: which facts a message tells, in which words, and when it is sent to whom."""
