"""The exchange of facts about people between the shards of a deployment (docs/decisions/0060). Pure."""
