"""Ends in all shards of what is purged, on PostgreSQL; `make test` has them on SQLite."""

# ruff: noqa: F403 - pytest collects what is imported
from tests.door.bot.exchange.test_purged_beginnings import *
from tests.long.door.bot.exchange.test_purged_beginnings import *
