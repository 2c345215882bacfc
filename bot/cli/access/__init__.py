"""Access of commands to the data: the database, the running bot, and the reason that is recorded."""
