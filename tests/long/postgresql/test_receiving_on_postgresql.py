"""Messages of other shards, on PostgreSQL; `make test` has one of each kind there, and all on SQLite."""

# ruff: noqa: F403 - pytest collects what is imported
from tests.door.bot.exchange.test_receiving import *
