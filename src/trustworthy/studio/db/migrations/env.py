"""What Alembic runs: the migrations on the connection that `Database.upgrade` gives."""

from alembic import context

from trustworthy.studio.db.tables import Instant, Table


def plain(kind, item, autogen_context):
    """Migrations name types of SQLAlchemy alone: they stay what they are when a class here changes."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, Instant) else False


connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Table.metadata, render_as_batch=True, render_item=plain)
with context.begin_transaction():
    context.run_migrations()
