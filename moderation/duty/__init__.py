"""Who answers for a group, and when."""
