"""The signed tree over the records: tiles, checkpoints, proofs, timestamps."""
