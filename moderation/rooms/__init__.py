"""What a room should look like, and measures against it."""
