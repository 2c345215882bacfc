"""Building blocks of decisions: facts, actions, and the context of a decision."""
