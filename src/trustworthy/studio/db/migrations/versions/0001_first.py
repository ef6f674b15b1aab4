"""Projects, images, pairs, uploads, jobs and models"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = ("project", "image", "job", "model", "upload", "pair")


def upgrade() -> None:
    _create(
        "project",
        _some("name", sa.String(length=200)),
        _some("description", sa.Text()),
        sa.Column("email", sa.String(length=254)),
        sa.Column("owner", sa.String(length=32)),
        _some("split", sa.JSON()),
        indexed=("owner",),
    )
    _create(
        "image",
        _id("project_id"),
        _some("name", sa.Text()),
        _some("role", sa.String(length=16)),
        _some("suffix", sa.String(length=16)),
        _some("bytes", sa.BigInteger()),
        _some("sha256", sa.String(length=64)),
        _some("description", sa.JSON()),
        project_id="project",
        indexed=("project_id", "role"),
    )
    _create(
        "job",
        _id("project_id"),
        _some("kind", sa.String(length=16)),
        _some("name", sa.String(length=200)),
        _some("status", sa.String(length=16)),
        _some("settings", sa.JSON()),
        _some("estimate", sa.JSON()),
        sa.Column("model_id", sa.String(length=32)),
        sa.Column("token", sa.String(length=32)),
        sa.Column("worker", sa.Text()),
        sa.Column("lease_until", sa.DateTime(timezone=True)),
        _some("attempts", sa.Integer()),
        _some("forgiven", sa.Integer()),
        _some("cancelling", sa.Boolean()),
        _some("progress", sa.Double()),
        _some("stage", sa.Text()),
        sa.Column("seconds_left", sa.Double()),
        _some("reason", sa.Text()),
        sa.Column("started", sa.DateTime(timezone=True)),
        sa.Column("ended", sa.DateTime(timezone=True)),
        project_id="project",
        indexed=("model_id", "project_id", "status"),
    )
    _create(
        "model",
        _id("project_id"),
        sa.Column("job_id", sa.String(length=32)),
        _some("name", sa.String(length=200)),
        _some("about", sa.JSON()),
        project_id="project",
        indexed=("job_id", "project_id"),
    )
    _create(
        "upload",
        _id("project_id"),
        _some("name", sa.Text()),
        _some("size", sa.BigInteger()),
        _some("role", sa.String(length=16)),
        project_id="project",
        indexed=("project_id",),
    )
    _create(
        "pair",
        _id("project_id"),
        _some("name", sa.Text()),
        _id("source_id"),
        _id("target_id"),
        _some("part", sa.String(length=16)),
        project_id="project",
        source_id="image",
        target_id="image",
        indexed=("project_id", "source_id", "target_id"),
        unique=("source_id", "target_id"),
    )


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)  # with its indexes


def _create(table: str, *columns: sa.Column, indexed: tuple[str, ...], unique: tuple[str, ...] = (), **of: str) -> None:
    """A table with an id and the moment when a row was made.

    indexed, unique : columns. of : by column, the table whose rows it names; what belongs to a row goes with it.
    """
    op.create_table(
        table,
        *columns,
        _id("id"),
        _some("created", sa.DateTime(timezone=True)),
        *(
            sa.ForeignKeyConstraint([name], [f"{other}.id"], name=f"fk_{table}_{name}_{other}", ondelete="CASCADE")
            for name, other in of.items()
        ),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    )
    for name in indexed:
        op.create_index(f"ix_{table}_{name}", table, [name], unique=name in unique)


def _id(name: str) -> sa.Column:
    return _some(name, sa.String(length=32))


def _some(name: str, kind: sa.types.TypeEngine) -> sa.Column:
    """A column that is never empty."""
    return sa.Column(name, kind, nullable=False)
