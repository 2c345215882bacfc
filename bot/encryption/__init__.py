"""The bot's side of end-to-end encryption: keys, late events, emoji comparison."""
