"""people are told of the pace that low credit brings once a day, so it counts when they were told last"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "INSERT INTO pointed (room, user, step, record, at)"
        " SELECT room, subject, rule, max(record), at FROM sanctions"
        " WHERE kind = 'redact' AND rule = 'tier_slow' AND subject != '' GROUP BY room, subject"
    )
