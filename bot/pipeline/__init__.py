"""The one way in: journal, judgement, tables, outbox."""
