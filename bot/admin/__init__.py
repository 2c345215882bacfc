"""What operators do to a running bot, and the socket they use for it."""
