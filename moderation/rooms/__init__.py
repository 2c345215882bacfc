"""The desired state of a room, and measures against it."""
