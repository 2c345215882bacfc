"""The rooms of the bot's own: direct rooms, desks, lobbies."""
