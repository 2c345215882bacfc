"""How commands reach the data: the database, the running bot, and the reason that is recorded."""
