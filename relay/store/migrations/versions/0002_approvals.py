"""Agents are found by what they ask."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # On SQLite a column can only be added behind the constraints; a new table has it where it belongs.
    with op.batch_alter_table("agents", recreate="auto") as agents:
        agents.add_column(sa.Column("approvals", sa.Text))
        agents.add_column(sa.Column("pending_approvals", sa.Integer, nullable=False, server_default="0"))
    op.create_index("ix_agents_pending", "agents", ["pending_approvals"])


def downgrade() -> None:
    raise NotImplementedError("go back by restoring a copy of the database from before the upgrade")
