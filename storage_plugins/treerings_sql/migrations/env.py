"""How Alembic runs the migrations: on the connection that `treerings_sql.versions` hands over, in its transaction."""

from alembic import context

options = context.config.attributes
context.configure(connection=options["connection"], version_table=options["version_table"])
with context.begin_transaction():
    context.run_migrations()
