"""The bot's own rooms: direct rooms, desks, lobbies."""
