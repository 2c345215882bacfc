"""The policy server's own database: answers, refusals that the bot has still to record, rooms, keys of others."""
