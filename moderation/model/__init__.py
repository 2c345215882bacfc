"""What decisions are made of: facts, actions, and the context they are made in."""
