"""Supervision of a job: launching, heartbeats, exit monitors, one exit code and one message."""
