"""Credit and standing: prices, balances, tiers, and what low credit brings."""
