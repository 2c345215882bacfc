"""Policy lists: what others say about users, servers and rooms, and what follows here."""
