"""Credit and standing: prices, balances, tiers, and consequences of low credit."""
