"""The exchange: what the shards of one deployment tell each other about people (docs/decisions/0060)."""
