"""The oldest schema that is migrated. A database from before it is made again from the log."""

revision = "0010"
down_revision = None


def upgrade() -> None:
    """Change nothing: a database gets this mark only from the version that made it."""
