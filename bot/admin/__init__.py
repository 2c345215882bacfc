"""Operations that operators perform on a running bot, and the socket they use for it."""
