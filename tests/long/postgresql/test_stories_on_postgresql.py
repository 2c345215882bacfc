"""The stories of the door that touch the database most, on PostgreSQL; `make test-postgresql` plays all of them."""

# ruff: noqa: F403 - pytest collects what is imported
from tests.door.bot.commands.test_measures import *
from tests.door.bot.pipeline.test_told import *
