"""The only way in for events and facts: journal, judgement, tables, outbox."""
