"""Monitoring: the bot's state, for a service manager, a probe, and Prometheus.

  vitals.py    the figures that are looked at
  health.py    whether they are well, and why not
  metrics.py   the same as numbers, in Prometheus' text format
  page.py      the two pages, on this machine alone
  pulse.py     the listener's progress
  systemd.py   the service manager's notifications and watchdog

Rules kept by all of these:
- No room and no person is named.
- The bot's state is read, never changed.
"""
