"""Note when people were last told of the pace that low credit brings: they are told once a day."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.execute(
        "INSERT INTO pointed (room, user, step, record, at)"
        " SELECT room, subject, rule, max(record), at FROM sanctions"
        " WHERE kind = 'redact' AND rule = 'tier_slow' AND subject != '' GROUP BY room, subject"
    )
