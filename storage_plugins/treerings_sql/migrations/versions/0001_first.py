"""The first version of the tables. Frozen: later changes are later migrations."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
LABELS = sa.Text().with_variant(postgresql.JSONB(), "postgresql")

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "step",
        sa.Column("id", ID, nullable=False),
        sa.Column("workflow_id", ID, nullable=False),
        sa.Column("parent_id", sa.Text()),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text()),
        sa.Column("model", sa.Text()),
        sa.Column("provider", sa.Text()),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("error_type", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("ended_at", sa.DateTime()),
        sa.Column("duration_ms", sa.Float()),
        sa.Column("first_token_ms", sa.Float()),
        sa.Column("input_tokens", sa.BigInteger()),
        sa.Column("output_tokens", sa.BigInteger()),
        sa.Column("cache_read_tokens", sa.BigInteger()),
        sa.Column("cache_write_tokens", sa.BigInteger()),
        sa.Column("reasoning_tokens", sa.BigInteger()),
        sa.Column("usage", sa.Text()),
        sa.Column("cost_usd", sa.Float()),
        sa.Column("price", sa.Text()),
        sa.Column("counted", sa.Boolean(), nullable=False),
        sa.Column("estimated", sa.Boolean(), nullable=False),
        sa.Column("session_id", sa.Text()),
        sa.Column("user_id", sa.Text()),
        sa.Column("tenant_id", sa.Text()),
        sa.Column("labels", LABELS),
        sa.Column("attributes", sa.Text()),
        sa.Column("writer_id", sa.Text()),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_step_workflow", "step", ["workflow_id"])
    op.create_index("ix_step_started", "step", ["started_at"])
    op.create_index("ix_step_revision", "step", ["revision"])
    running = sa.text("writer_id IS NOT NULL")
    op.create_index("ix_step_running", "step", ["writer_id"], sqlite_where=running, postgresql_where=running)
    if op.get_bind().dialect.name == "postgresql":
        op.create_index(
            "ix_step_labels", "step", ["labels"], postgresql_using="gin", postgresql_ops={"labels": "jsonb_path_ops"}
        )
    op.create_table(
        "workflow",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("started_at", sa.DateTime(), nullable=False),
        sa.Column("ended_at", sa.DateTime()),
        sa.Column("duration_ms", sa.Float()),
        sa.Column("steps", sa.BigInteger(), nullable=False),
        sa.Column("llm_calls", sa.BigInteger(), nullable=False),
        sa.Column("tool_calls", sa.BigInteger(), nullable=False),
        sa.Column("failed_steps", sa.BigInteger(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_usd", sa.Float(), nullable=False),
        sa.Column("unpriced_calls", sa.BigInteger(), nullable=False),
        sa.Column("session_id", sa.Text()),
        sa.Column("user_id", sa.Text()),
        sa.Column("tenant_id", sa.Text()),
        sa.Column("labels", LABELS),
        sa.Column("cache_read_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cache_write_tokens", sa.BigInteger(), nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger(), nullable=False),
        sa.Column("estimated_calls", sa.BigInteger(), nullable=False),
        sa.Column("steps_duration_ms", sa.Float(), nullable=False),
        sa.Column("facts_id", sa.Text(), nullable=False),
        sa.Column("facts_rank", sa.Integer(), nullable=False),
        sa.Column("facts_sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_workflow_started", "workflow", ["started_at", "id"])
    op.create_index("ix_workflow_session", "workflow", ["session_id"])
    op.create_index("ix_workflow_user", "workflow", ["user_id"])
    op.create_table(
        "payload",
        sa.Column("step_id", ID, nullable=False),
        sa.Column("input", sa.Text()),
        sa.Column("output", sa.Text()),
        sa.PrimaryKeyConstraint("step_id"),
    )
    op.create_table(
        "label",
        sa.Column("key", ID, nullable=False),
        sa.Column("value", ID, nullable=False),
        sa.Column("workflow_id", ID, nullable=False),
        sa.PrimaryKeyConstraint("key", "value", "workflow_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_label_workflow", "label", ["workflow_id"])
    op.create_table(
        "writer",
        sa.Column("id", ID, nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("started", sa.Text()),
        sa.Column("heartbeat_at", sa.DateTime()),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.execute("""\
CREATE VIEW performance_logs AS
SELECT
    step.id AS id,
    step.started_at AS timestamp,
    step.workflow_id AS request_id,
    step.session_id AS session_id,
    step.user_id AS user_phone,
    step.agent AS agent,
    step.name AS function_name,
    step.kind AS call_type,
    step.sequence AS call_sequence,
    step.model AS model,
    step.input_tokens AS request_tokens,
    step.output_tokens AS response_tokens,
    CASE WHEN step.input_tokens IS NOT NULL OR step.output_tokens IS NOT NULL
        THEN coalesce(step.input_tokens, 0) + coalesce(step.output_tokens, 0) END AS total_tokens,
    step.started_at AS start_time,
    step.ended_at AS end_time,
    step.duration_ms AS duration_ms,
    CASE WHEN step.kind <> 'tool' THEN payload.input END AS messages,
    payload.output AS response_content,
    CASE WHEN step.kind = 'tool' THEN payload.input END AS function_call,
    CASE WHEN step.status <> 'running' THEN step.status IN ('ok', 'interrupted') END AS success,
    step.error AS error,
    step.attributes AS metadata,
    step.started_at AS created_at,
    coalesce(step.ended_at, step.started_at) AS updated_at
FROM step LEFT JOIN payload ON payload.step_id = step.id""")


def downgrade() -> None:
    op.execute("DROP VIEW performance_logs")
    for table in ("writer", "label", "payload", "workflow", "step"):
        op.drop_table(table)
