"""Being watched: how the bot is, for a service manager, a probe, and Prometheus.

    vitals.py    what is looked at
    health.py    whether that is well, and why not
    metrics.py   the same as numbers, in Prometheus' text format
    page.py      the two pages, on this machine alone
    pulse.py     that the listener gets on
    systemd.py   the service manager's notifications and watchdog

Rules all of these keep: nobody is named, no room and no person; what is looked at is read, never changed.
"""
