"""What operators do to a running bot, and the socket they do it through."""
