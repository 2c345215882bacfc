"""The core of encryption with Synapse between two of its machines."""

# ruff: noqa: F403 - pytest collects what is imported
from tests.door.bot.crypto.test_crypto_core import *
