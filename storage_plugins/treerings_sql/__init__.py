"""Trees in SQL databases: `treerings_sql.store.SqlStore`. What the entry point loads is `treerings_sql.plugin`."""
