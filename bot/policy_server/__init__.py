"""The policy server, a process of its own: homeservers ask it before they deliver a message (decision 0052).

A request comes in at `server.py`; `answering.py` finds the one answer that its event has; `judging.py` judges it by the
tables of the bot (`bot_tables.py`); `rooms.py` joins the rooms whose owners want to be asked for.
"""
