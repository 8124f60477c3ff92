"""first tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


GUARDS = (
    """
    CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION USING
            ERRCODE = 'restrict_violation',
            MESSAGE = TG_TABLE_NAME || ' only grows: ' || lower(TG_OP) || ' refused';
    END $$
    """,
    """
    CREATE OR REPLACE TRIGGER item_decision_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON item_decision
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE OR REPLACE TRIGGER work_place_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON work_place
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE OR REPLACE TRIGGER qualification_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON qualification
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE OR REPLACE TRIGGER terms_revision_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON terms_revision
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE OR REPLACE TRIGGER fx_rate_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON fx_rate
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE OR REPLACE TRIGGER account_stays BEFORE DELETE OR TRUNCATE ON account
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE OR REPLACE TRIGGER account_only_grows BEFORE UPDATE ON account FOR EACH ROW WHEN (
        (OLD.id, OLD.code, OLD.kind, OLD.currency, OLD.guard, OLD.opened_at)
            IS DISTINCT FROM (NEW.id, NEW.code, NEW.kind, NEW.currency, NEW.guard, NEW.opened_at)
        OR NEW.version <= OLD.version OR NEW.debits < OLD.debits OR NEW.credits < OLD.credits
    ) EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE OR REPLACE TRIGGER journal_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON journal
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE OR REPLACE TRIGGER transfer_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON transfer
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE OR REPLACE FUNCTION refuse_further_lines() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT FROM added JOIN journal ON journal.id = added.journal_id
                   WHERE added.line NOT BETWEEN 1 AND journal.lines) THEN
            RAISE EXCEPTION USING ERRCODE = 'restrict_violation', MESSAGE = 'the journal has all its lines';
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE OR REPLACE TRIGGER transfer_sealed AFTER INSERT ON transfer REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_further_lines()
    """,
    """
    CREATE OR REPLACE FUNCTION await_log() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO log_pending (kind, ref, at) SELECT 'journal', id, recorded_at FROM added ORDER BY id;
        RETURN NULL;
    END $$
    """,
    """
    CREATE OR REPLACE TRIGGER journal_awaits_log AFTER INSERT ON journal REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION await_log()
    """,
    """
    CREATE OR REPLACE TRIGGER log_entry_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON log_entry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE OR REPLACE TRIGGER log_node_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON log_node
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE OR REPLACE TRIGGER checkpoint_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE OR REPLACE TRIGGER due_line_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON due_line
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE OR REPLACE TRIGGER payslip_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON payslip
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE OR REPLACE TRIGGER payout_run_stays BEFORE DELETE OR TRUNCATE ON payout_run
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE OR REPLACE TRIGGER payout_run_keeps_file BEFORE UPDATE ON payout_run FOR EACH ROW WHEN (
        (OLD.id, OLD.period_id, OLD.currency, OLD.rail) IS DISTINCT FROM (NEW.id, NEW.period_id, NEW.currency, NEW.rail)
        OR OLD.file IS NOT NULL
            AND (OLD.file, OLD.file_sha256, OLD.made_at) IS DISTINCT FROM (NEW.file, NEW.file_sha256, NEW.made_at)
    ) EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE OR REPLACE TRIGGER payout_stays BEFORE DELETE OR TRUNCATE ON payout
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE OR REPLACE TRIGGER payout_keeps_amount BEFORE UPDATE ON payout FOR EACH ROW WHEN (
        (OLD.id, OLD.run_id, OLD.worker_id, OLD.amount, OLD.currency, OLD.reserve_journal_id)
            IS DISTINCT FROM (NEW.id, NEW.run_id, NEW.worker_id, NEW.amount, NEW.currency, NEW.reserve_journal_id)
    ) EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE OR REPLACE FUNCTION claim_slots(
        _batch uuid, _worker uuid, _queue bigint, _ids uuid[], _chances float8[], _place integer, _now timestamptz
    ) RETURNS TABLE (
        batch_state varchar, pause_reason varchar, permitted boolean,
        id uuid, slot_id bigint, item_id bigint, key varchar, data jsonb, fresh boolean
    )
    LANGUAGE plpgsql SET enable_seqscan = off SET enable_sort = off AS $$
    #variable_conflict use_column
    DECLARE
        _served batch;
        _permitted boolean;
        _until timestamptz;
        _held uuid[];
        _had integer;
        _id uuid;
        _at integer;
        _chance float8;
        _gold boolean;
        _claimed uuid;
        _from integer;
        _late record;
        _free bigint;
    BEGIN
        -- One worker's claims queue up, so that two tabs cannot choose two copies of the same item.
        PERFORM pg_advisory_xact_lock(_queue);
        SELECT * INTO _served FROM batch WHERE id = _batch;
        _until := _now + make_interval(secs => _served.lease_seconds);
        _permitted := EXISTS (SELECT FROM permit WHERE worker_id = _worker AND batch_id = _batch
                              AND since <= _now AND until > _now);
        _held := ARRAY(SELECT id FROM assignment
                       WHERE batch_id = _batch AND worker_id = _worker AND state = 'leased' AND lease_until > _now
                       ORDER BY id LIMIT cardinality(_ids));
        _had := cardinality(_held);
        -- To ask for more is to be at it.
        UPDATE assignment SET lease_until = _until
        WHERE id = ANY(_held) AND lease_until < _until - interval '1 minute';
        IF _permitted AND _served.state = 'open' THEN
            FOR _at IN _had + 1 .. cardinality(_ids) LOOP
                _id := _ids[_at];
                _chance := _chances[_at];
                _claimed := NULL;
                IF _chance < 0.1
                AND (_chance < 0.05 OR (
                    SELECT count(*) FROM (
                        SELECT FROM assignment JOIN batch AS one ON one.id = batch_id
                        WHERE worker_id = _worker AND assignment.state = 'submitted'
                          AND one.project_id = _served.project_id LIMIT 50
                    ) AS answered) < 50)
                AND EXISTS (
                    SELECT FROM slot WHERE slot.batch_id = _batch AND slot.state = 'open' AND NOT slot.is_gold
                      AND (SELECT had.id FROM assignment AS had
                           WHERE had.item_id = slot.item_id AND had.worker_id = _worker) IS NULL)
                THEN
                    -- The least shown one: their order is the rotation.
                    _gold := true;
                    _from := 0;
                    WITH chosen AS (
                SELECT slot.id, slot.item_id
                FROM slot
                WHERE slot.batch_id = _batch AND slot.state = 'open' AND slot.is_gold = _gold
                  AND slot.order_key >= _from
                  AND (SELECT had.id FROM assignment AS had
                       WHERE had.item_id = slot.item_id AND had.worker_id = _worker) IS NULL
                ORDER BY slot.order_key, slot.id
                LIMIT 1
                FOR UPDATE OF slot SKIP LOCKED
            ), leased AS (
                UPDATE slot SET state = 'leased' FROM chosen WHERE slot.id = chosen.id
            )
            INSERT INTO assignment
                (id, slot_id, item_id, batch_id, worker_id, state, surplus, reason, claimed_at, lease_until)
            SELECT _id, chosen.id, chosen.item_id, _batch, _worker, 'leased', false, '', _now, _until FROM chosen
            RETURNING assignment.id
                    INTO _claimed;
                END IF;
                _gold := false;
                FOREACH _from IN ARRAY ARRAY[_place, 0] LOOP
                    EXIT WHEN _claimed IS NOT NULL;
                    WITH chosen AS (
                SELECT slot.id, slot.item_id
                FROM slot
                WHERE slot.batch_id = _batch AND slot.state = 'open' AND slot.is_gold = _gold
                  AND slot.order_key >= _from
                  AND (SELECT had.id FROM assignment AS had
                       WHERE had.item_id = slot.item_id AND had.worker_id = _worker) IS NULL
                ORDER BY slot.order_key, slot.id
                LIMIT 1
                FOR UPDATE OF slot SKIP LOCKED
            ), leased AS (
                UPDATE slot SET state = 'leased' FROM chosen WHERE slot.id = chosen.id
            )
            INSERT INTO assignment
                (id, slot_id, item_id, batch_id, worker_id, state, surplus, reason, claimed_at, lease_until)
            SELECT _id, chosen.id, chosen.item_id, _batch, _worker, 'leased', false, '', _now, _until FROM chosen
            RETURNING assignment.id
                    INTO _claimed;
                END LOOP;
                EXIT WHEN _claimed IS NULL;
                _held := _held || _claimed;
            END LOOP;
        END IF;
        IF _permitted AND _served.state = 'open' AND cardinality(_held) < cardinality(_ids) THEN
            -- What the worker has put off comes back at the end, the earliest first, where it still lacks an answer.
            FOR _late IN SELECT assignment.id, item_id FROM assignment
                WHERE batch_id = _batch AND worker_id = _worker AND state = 'skipped' AND outcome = 'later'
                ORDER BY ended_at, assignment.id
            LOOP
                EXIT WHEN cardinality(_held) = cardinality(_ids);
                SELECT slot.id INTO _free FROM slot WHERE slot.item_id = _late.item_id AND slot.state = 'open'
                ORDER BY slot.copy LIMIT 1 FOR UPDATE SKIP LOCKED;
                CONTINUE WHEN NOT FOUND;
                UPDATE slot SET state = 'leased' WHERE slot.id = _free;
                UPDATE assignment SET slot_id = _free, state = 'leased', lease_until = _until
                WHERE assignment.id = _late.id;
                _held := _held || _late.id;
            END LOOP;
        END IF;
        RETURN QUERY
            SELECT _served.state, _served.pause_reason, _permitted, assignment.id, slot_id, item_id, key, data,
                assignment.id = ANY(_held[_had + 1:])
            FROM assignment JOIN item ON item.id = item_id
            WHERE assignment.id = ANY(_held) ORDER BY assignment.id;
        IF NOT FOUND THEN
            batch_state := _served.state; pause_reason := _served.pause_reason; permitted := _permitted;
            RETURN NEXT;
        END IF;
    END $$
    """,
    """
    CREATE OR REPLACE FUNCTION submit_assignment(_assignment uuid, _now timestamptz) RETURNS boolean
    LANGUAGE plpgsql AS $$
    DECLARE
        _held assignment;
        _taken boolean;
    BEGIN
        SELECT * INTO _held FROM assignment WHERE id = _assignment FOR UPDATE;
        IF _held.state = 'submitted' THEN
            RETURN _held.surplus;
        END IF;
        UPDATE slot SET state = 'answered'
        WHERE id = _held.slot_id AND state = CASE _held.state WHEN 'leased' THEN 'leased' ELSE 'open' END;
        _taken := FOUND;
        UPDATE assignment SET state = 'submitted', surplus = NOT _taken, ended_at = _now WHERE id = _assignment;
        RETURN NOT _taken;
    END $$
    """,
    """
    CREATE OR REPLACE FUNCTION store_answer(
        _assignment uuid, _worker uuid, _submission uuid, _value jsonb, _now timestamptz,
        OUT known boolean, OUT reused boolean, OUT first boolean, OUT surplus boolean, OUT version integer
    ) LANGUAGE plpgsql AS $$
    DECLARE
        _held assignment;
        _answer answer;
        _id bigint;
    BEGIN
        SELECT * INTO STRICT _held FROM assignment WHERE id = _assignment AND worker_id = _worker FOR UPDATE;
        SELECT * INTO _answer FROM answer WHERE submission_id = _submission;
        known := FOUND;
        IF known THEN
            reused := _answer.assignment_id <> _assignment OR _answer.value <> _value;
            surplus := _held.surplus;
            version := _answer.version;
            RETURN;
        END IF;
        first := _held.state <> 'submitted';
        surplus := submit_assignment(_assignment, _now);
        UPDATE answer SET is_current = false WHERE assignment_id = _assignment AND is_current
        RETURNING answer.version INTO version;
        version := coalesce(version, 0) + 1;
        INSERT INTO answer (submission_id, assignment_id, item_id, batch_id, worker_id, version, is_current, value,
            origin, submitted_at)
        VALUES (_submission, _assignment, _held.item_id, _held.batch_id, _worker, version, true, _value,
            'human', _now)
        RETURNING id INTO _id;
        INSERT INTO unseen_answer (answer_id, item_id) VALUES (_id, _held.item_id);
    END $$
    """,
    """
    CREATE OR REPLACE FUNCTION accrue_earning(
        _id uuid, _assignment uuid, _worker uuid, _batch uuid, _kind text, _now timestamptz
    ) RETURNS text LANGUAGE plpgsql AS $$
    DECLARE
        _terms record;
        _price numeric;
    BEGIN
        SELECT * INTO _terms FROM pay_terms WHERE batch_id = _batch;
        IF NOT FOUND THEN
            RETURN 'NoTerms';
        END IF;
        _price := _terms.piece_price;
        IF _terms.counts_from > _now THEN
            -- A rise counts from its moment on, and the sweep books what ended before it.
            SELECT piece_price INTO _price FROM terms_revision WHERE batch_id = _batch
            ORDER BY counts_from <= _now DESC, CASE WHEN counts_from <= _now THEN -revision ELSE revision END LIMIT 1;
        END IF;
        INSERT INTO earning (id, assignment_id, worker_id, batch_id, kind, piece_price, currency, at)
        VALUES (_id, _assignment, _worker, _batch, _kind,
            CASE _kind WHEN 'submitted' THEN coalesce(_price, 0) ELSE 0 END, _terms.currency, _now)
        ON CONFLICT (assignment_id) DO UPDATE
            SET kind = excluded.kind, piece_price = excluded.piece_price, currency = excluded.currency,
                at = excluded.at
            WHERE earning.kind <> 'submitted' AND excluded.kind = 'submitted';
        RETURN NULL;
    EXCEPTION WHEN OTHERS THEN
        -- What is undone here is this earning alone: a fault in the books never refuses the work before it.
        RETURN SQLERRM;
    END $$
    """,
)


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("kind", sa.String(length=9), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("guard", sa.String(length=6), nullable=False),
        sa.Column("debits", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("credits", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("version", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("guard <> 'credit' OR credits >= debits", name=op.f("ck_account_credit_guard")),
        sa.CheckConstraint("guard <> 'debit' OR debits >= credits", name=op.f("ck_account_debit_guard")),
        sa.CheckConstraint("guard IN ('none', 'credit', 'debit')", name=op.f("ck_account_guard")),
        sa.CheckConstraint(
            "kind IN ('asset', 'liability', 'income', 'expense', 'equity')", name=op.f("ck_account_kind")
        ),
        sa.CheckConstraint(
            "debits >= 0 AND credits >= 0 AND version >= 0", name=op.f("ck_account_counts_up")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sa.UniqueConstraint("code", name=op.f("uq_account_code")),
        sa.UniqueConstraint("id", "currency", name=op.f("uq_account_id_currency")),
        postgresql_with={"fillfactor": 70},
    )
    op.create_table(
        "attempt",
        sa.Column("bucket", sa.String(), nullable=False),
        sa.Column("window_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "window_start", name=op.f("pk_attempt")),
    )
    op.create_table(
        "checkpoint",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_checkpoint")),
    )
    op.create_table(
        "clock",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clock")),
    )
    op.create_table(
        "fx_rate",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("base", sa.String(length=3), nullable=False),
        sa.Column("quote", sa.String(length=3), nullable=False),
        sa.Column("rate", sa.Numeric(precision=24, scale=12), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.CheckConstraint("base <> quote", name=op.f("ck_fx_rate_two_currencies")),
        sa.CheckConstraint("rate > 0", name=op.f("ck_fx_rate_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fx_rate")),
        sa.UniqueConstraint(
            "base", "quote", "as_of", "provider", name=op.f("uq_fx_rate_base_quote_as_of_provider")
        ),
    )
    op.create_table(
        "log_entry",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("ref", sa.String(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("commitment", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("octet_length(commitment) = 32", name=op.f("ck_log_entry_commitment")),
        sa.CheckConstraint("octet_length(salt) = 16", name=op.f("ck_log_entry_salt")),
        sa.CheckConstraint("seq >= 0", name=op.f("ck_log_entry_seq")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_log_entry")),
        sa.UniqueConstraint("kind", "ref", name=op.f("uq_log_entry_kind_ref")),
    )
    op.create_table(
        "log_node",
        sa.Column("level", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("place", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "place", name=op.f("pk_log_node")),
    )
    op.create_table(
        "pay_period",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'closed') = (closed_at IS NOT NULL)", name=op.f("ck_pay_period_closed")),
        sa.CheckConstraint("ends_at = starts_at + interval '168 hours'", name=op.f("ck_pay_period_week")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pay_period")),
        sa.UniqueConstraint("code", name=op.f("uq_pay_period_code")),
        sa.UniqueConstraint("starts_at", name=op.f("uq_pay_period_starts_at")),
    )
    op.create_table(
        "pay_rule",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("rule_id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("status_events", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("jurisdiction", sa.String(), nullable=True),
        sa.Column("area", sa.String(), nullable=True),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("effective_from", sa.Date(), nullable=False),
        sa.Column("effective_to", sa.Date(), nullable=True),
        sa.Column("document", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("verified_by", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('draft', 'in_force', 'suspended', 'repealed', 'superseded')",
            name=op.f("ck_pay_rule_status"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pay_rule")),
        sa.UniqueConstraint("rule_id", "version", name=op.f("uq_pay_rule_rule_id_version")),
        sa.UniqueConstraint("sha256", name=op.f("uq_pay_rule_sha256")),
    )
    op.create_table(
        "person",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("organisation", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=True),
        sa.Column("area", sa.String(), nullable=True),
        sa.Column("time_zone", sa.String(), nullable=False),
        sa.Column("languages", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("consents", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person")),
    )
    op.create_table(
        "work_place",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("place", sa.String(), nullable=True),
        sa.Column("area", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_work_place_person_id_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_place")),
    )
    op.create_index("ix_work_place_person", "work_place", ["person_id", "since"], unique=False)
    op.create_table(
        "progress",
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_progress")),
    )
    op.create_table(
        "journal",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("lines", sa.SmallInteger(), nullable=False),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("evidence_digest", sa.LargeBinary(), nullable=True),
        sa.Column("rule_set_hash", sa.LargeBinary(), nullable=True),
        sa.Column("fx_rate_id", sa.Uuid(), nullable=True),
        sa.Column("reverses", sa.BigInteger(), nullable=True),
        sa.Column("memo", sa.String(), nullable=False),
        sa.CheckConstraint("lines > 0", name=op.f("ck_journal_has_lines")),
        sa.CheckConstraint("octet_length(evidence_digest) = 32", name=op.f("ck_journal_evidence_digest")),
        sa.CheckConstraint("octet_length(fingerprint) = 32", name=op.f("ck_journal_fingerprint")),
        sa.CheckConstraint("octet_length(rule_set_hash) = 32", name=op.f("ck_journal_rule_set_hash")),
        sa.ForeignKeyConstraint(["fx_rate_id"], ["fx_rate.id"], name=op.f("fk_journal_fx_rate_id_fx_rate")),
        sa.ForeignKeyConstraint(["reverses"], ["journal.id"], name=op.f("fk_journal_reverses_journal")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_journal")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_journal_idempotency_key")),
        sa.UniqueConstraint("reverses", name=op.f("uq_journal_reverses")),
    )
    op.create_table(
        "login",
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_login_person_id_person")),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_login")),
        sa.UniqueConstraint("email", name=op.f("uq_login_email")),
    )
    op.create_table(
        "payout_run",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("period_id", sa.Uuid(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("rail", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("file", sa.LargeBinary(), nullable=True),
        sa.Column("file_sha256", sa.String(length=64), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(file IS NULL) = (file_sha256 IS NULL) AND (file IS NULL) = (made_at IS NULL)",
            name=op.f("ck_payout_run_file"),
        ),
        sa.ForeignKeyConstraint(
            ["period_id"], ["pay_period.id"], name=op.f("fk_payout_run_period_id_pay_period")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payout_run")),
        sa.UniqueConstraint(
            "period_id", "currency", "rail", name=op.f("uq_payout_run_period_id_currency_rail")
        ),
    )
    op.create_table(
        "payslip",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("worker_id", sa.Uuid(), nullable=False),
        sa.Column("period_id", sa.Uuid(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("document", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("octet_length(digest) = 32", name=op.f("ck_payslip_digest")),
        sa.CheckConstraint("total >= 0", name=op.f("ck_payslip_total")),
        sa.ForeignKeyConstraint(
            ["period_id"], ["pay_period.id"], name=op.f("fk_payslip_period_id_pay_period")
        ),
        sa.ForeignKeyConstraint(["worker_id"], ["person.id"], name=op.f("fk_payslip_worker_id_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payslip")),
        sa.UniqueConstraint("number", name=op.f("uq_payslip_number")),
        sa.UniqueConstraint(
            "worker_id", "period_id", "currency", name=op.f("uq_payslip_worker_id_period_id_currency")
        ),
    )
    op.create_index(op.f("ix_payslip_period_id"), "payslip", ["period_id"], unique=False)
    op.create_table(
        "project",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("requester_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["requester_id"], ["person.id"], name=op.f("fk_project_requester_id_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project")),
    )
    op.create_index(op.f("ix_project_requester_id"), "project", ["requester_id"], unique=False)
    op.create_table(
        "report",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("asked_by", sa.Uuid(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("result", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.ForeignKeyConstraint(["asked_by"], ["person.id"], name=op.f("fk_report_asked_by_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_report")),
    )
    op.create_index("ix_report_ended", "report", ["kind", "subject", "ended_at"], unique=False)
    op.create_index(
        "uq_report_under_way",
        "report",
        ["kind", "subject"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "sign_in",
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("csrf", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_sign_in_person_id_person")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sign_in")),
    )
    op.create_index(op.f("ix_sign_in_person_id"), "sign_in", ["person_id"], unique=False)
    op.create_table(
        "ticket",
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=True),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=True),
        sa.Column("made_by", sa.Uuid(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["made_by"], ["person.id"], name=op.f("fk_ticket_made_by_person")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_ticket_person_id_person")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_ticket")),
        sa.UniqueConstraint("id", name=op.f("uq_ticket_id")),
    )
    op.create_table(
        "definition",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("document", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_definition_project_id_project")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_definition")),
        sa.UniqueConstraint("project_id", "number", name=op.f("uq_definition_project_id_number")),
    )
    op.create_table(
        "log_pending",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("ref", sa.String(), nullable=False),
        sa.Column("entry", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind = 'journal' OR entry IS NOT NULL", name=op.f("ck_log_pending_has_content")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_pending")),
        sa.UniqueConstraint("kind", "ref", name=op.f("uq_log_pending_kind_ref")),
    )
    op.create_table(
        "payout",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("worker_id", sa.Uuid(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("reserve_journal_id", sa.BigInteger(), nullable=False),
        sa.Column("paid_journal_id", sa.BigInteger(), nullable=True),
        sa.Column("settled_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'paid') <= (reference <> '')", name=op.f("ck_payout_reference")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_payout_amount")),
        sa.ForeignKeyConstraint(
            ["paid_journal_id"], ["journal.id"], name=op.f("fk_payout_paid_journal_id_journal")
        ),
        sa.ForeignKeyConstraint(
            ["reserve_journal_id"], ["journal.id"], name=op.f("fk_payout_reserve_journal_id_journal")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["payout_run.id"], name=op.f("fk_payout_run_id_payout_run")),
        sa.ForeignKeyConstraint(["worker_id"], ["person.id"], name=op.f("fk_payout_worker_id_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payout")),
        sa.UniqueConstraint("paid_journal_id", name=op.f("uq_payout_paid_journal_id")),
        sa.UniqueConstraint("reserve_journal_id", name=op.f("uq_payout_reserve_journal_id")),
        sa.UniqueConstraint("run_id", "worker_id", name=op.f("uq_payout_run_id_worker_id")),
    )
    op.create_index(op.f("ix_payout_worker_id"), "payout", ["worker_id"], unique=False)
    op.create_table(
        "payslip_share",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("payslip_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["payslip_id"], ["payslip.id"], name=op.f("fk_payslip_share_payslip_id_payslip")
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_payslip_share")),
    )
    op.create_index(op.f("ix_payslip_share_payslip_id"), "payslip_share", ["payslip_id"], unique=False)
    op.create_table(
        "transfer",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("journal_id", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.SmallInteger(), nullable=False),
        sa.Column("debit_id", sa.BigInteger(), nullable=False),
        sa.Column("credit_id", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("line_ref", sa.String(), nullable=True),
        sa.Column("debit_version", sa.BigInteger(), nullable=False),
        sa.Column("debit_after", sa.BigInteger(), nullable=False),
        sa.Column("credit_version", sa.BigInteger(), nullable=False),
        sa.Column("credit_after", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_transfer_amount")),
        sa.CheckConstraint("debit_id <> credit_id", name=op.f("ck_transfer_two_accounts")),
        sa.ForeignKeyConstraint(
            ["credit_id", "currency"], ["account.id", "account.currency"], name="fk_transfer_credit"
        ),
        sa.ForeignKeyConstraint(
            ["debit_id", "currency"], ["account.id", "account.currency"], name="fk_transfer_debit"
        ),
        sa.ForeignKeyConstraint(["journal_id"], ["journal.id"], name=op.f("fk_transfer_journal_id_journal")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfer")),
        sa.UniqueConstraint("credit_id", "credit_version", name=op.f("uq_transfer_credit_id_credit_version")),
        sa.UniqueConstraint("debit_id", "debit_version", name=op.f("uq_transfer_debit_id_debit_version")),
        sa.UniqueConstraint("journal_id", "line", name=op.f("uq_transfer_journal_id_line")),
    )
    op.create_table(
        "batch",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("definition_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), server_default="work", nullable=False),
        sa.Column("needs_qualification", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("pause_reason", sa.String(), nullable=False),
        sa.Column("redundancy", sa.String(), nullable=False),
        sa.Column("answers_wanted", sa.Integer(), nullable=False),
        sa.Column("answers_max", sa.Integer(), nullable=False),
        sa.Column("answers_expected", sa.Integer(), nullable=False),
        sa.Column("lease_seconds", sa.Integer(), nullable=False),
        sa.Column("lease_set", sa.Boolean(), nullable=False),
        sa.Column("languages", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("content_classes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "answers_expected BETWEEN answers_wanted AND answers_max", name=op.f("ck_batch_answers_expected")
        ),
        sa.CheckConstraint("kind IN ('work', 'training', 'qualification')", name=op.f("ck_batch_kind")),
        sa.CheckConstraint(
            "kind = 'work' OR NOT needs_qualification", name=op.f("ck_batch_needs_qualification")
        ),
        sa.CheckConstraint("answers_max >= answers_wanted", name=op.f("ck_batch_answers_max")),
        sa.CheckConstraint("answers_wanted BETWEEN 1 AND 100", name=op.f("ck_batch_answers_wanted")),
        sa.CheckConstraint("lease_seconds BETWEEN 60 AND 86400", name=op.f("ck_batch_lease_seconds")),
        sa.ForeignKeyConstraint(
            ["definition_id"], ["definition.id"], name=op.f("fk_batch_definition_id_definition")
        ),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_batch_project_id_project")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch")),
    )
    op.create_index(op.f("ix_batch_project_id"), "batch", ["project_id"], unique=False)
    op.create_table(
        "declaration",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("worker_id", sa.Uuid(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column("start_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("added_seconds", sa.Integer(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("accepted_by", sa.String(), nullable=False),
        sa.Column("decision_reason", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decide_by", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'pending') = (decided_at IS NULL)", name=op.f("ck_declaration_decided")),
        sa.CheckConstraint(
            "state <> 'refused' OR (decision_reason <> '' AND accepted_by <> '')",
            name=op.f("ck_declaration_refusal"),
        ),
        sa.CheckConstraint("state IN ('accepted', 'pending', 'refused')", name=op.f("ck_declaration_state")),
        sa.CheckConstraint("start_at < end_at", name=op.f("ck_declaration_span")),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_declaration_batch_id_batch")),
        sa.ForeignKeyConstraint(["worker_id"], ["person.id"], name=op.f("fk_declaration_worker_id_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_declaration")),
    )
    op.create_index(
        "ix_declaration_due",
        "declaration",
        ["decide_by"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index("ix_declaration_worker", "declaration", ["worker_id", "end_at"], unique=False)
    op.create_table(
        "exclusion",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("worker_id", sa.Uuid(), nullable=False),
        sa.Column("by_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("contest", sa.String(), nullable=False),
        sa.Column("contested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decide_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decision_reason", sa.String(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_exclusion_reason")),
        sa.CheckConstraint(
            "until > created_at AND until <= created_at + interval '90 days'", name=op.f("ck_exclusion_until")
        ),
        sa.CheckConstraint(
            "state IN ('active', 'contested', 'upheld', 'lifted')", name=op.f("ck_exclusion_state")
        ),
        sa.CheckConstraint(
            "(state IN ('upheld', 'lifted')) = (decided_at IS NOT NULL)", name=op.f("ck_exclusion_decided")
        ),
        sa.CheckConstraint(
            "state <> 'upheld' OR (decided_by IS NOT NULL AND decided_by <> by_id AND decision_reason <> '')",
            name=op.f("ck_exclusion_upheld"),
        ),
        sa.CheckConstraint(
            "state <> 'contested' OR decide_by IS NOT NULL", name=op.f("ck_exclusion_contested")
        ),
        sa.ForeignKeyConstraint(["by_id"], ["person.id"], name=op.f("fk_exclusion_by_id_person")),
        sa.ForeignKeyConstraint(["decided_by"], ["person.id"], name=op.f("fk_exclusion_decided_by_person")),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_exclusion_project_id_project")),
        sa.ForeignKeyConstraint(["worker_id"], ["person.id"], name=op.f("fk_exclusion_worker_id_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exclusion")),
    )
    op.create_index(
        "ix_exclusion_due",
        "exclusion",
        ["decide_by"],
        unique=False,
        postgresql_where=sa.text("state = 'contested'"),
    )
    op.create_index("ix_exclusion_project", "exclusion", ["project_id"], unique=False)
    op.create_index("ix_exclusion_worker", "exclusion", ["worker_id", "until"], unique=False)
    op.create_table(
        "due_line",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("period_id", sa.Uuid(), nullable=False),
        sa.Column("worker_id", sa.Uuid(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column("segment_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("segment_end", sa.DateTime(timezone=True), nullable=False),
        sa.Column("place", sa.String(), nullable=True),
        sa.Column("area", sa.String(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("seconds_by", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("agreed", sa.BigInteger(), nullable=False),
        sa.Column("required", sa.BigInteger(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("topup", sa.BigInteger(), nullable=False),
        sa.Column("rate", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("rule_sha256", sa.String(), nullable=False),
        sa.Column("fx_rate_id", sa.Uuid(), nullable=True),
        sa.Column("fx_through", sa.Uuid(), nullable=True),
        sa.Column("fx", sa.String(), nullable=True),
        sa.Column("charge", sa.BigInteger(), nullable=False),
        sa.Column("charge_currency", sa.String(length=3), nullable=False),
        sa.Column("fee", sa.BigInteger(), nullable=False),
        sa.Column("answers", sa.Integer(), nullable=False),
        sa.Column("trace", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("evidence_digest", sa.LargeBinary(), nullable=False),
        sa.Column("journal_id", sa.BigInteger(), nullable=True),
        sa.Column("corrects", sa.Uuid(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(journal_id IS NULL) = (due = 0)", name=op.f("ck_due_line_booked")),
        sa.CheckConstraint("charge >= 0 AND fee >= 0", name=op.f("ck_due_line_charge")),
        sa.CheckConstraint(
            "due >= agreed AND due >= required AND topup = due - agreed", name=op.f("ck_due_line_paid")
        ),
        sa.CheckConstraint("octet_length(evidence_digest) = 32", name=op.f("ck_due_line_evidence_digest")),
        sa.CheckConstraint(
            "seconds >= 0 AND agreed >= 0 AND required >= 0", name=op.f("ck_due_line_not_negative")
        ),
        sa.CheckConstraint("segment_start < segment_end", name=op.f("ck_due_line_segment")),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_due_line_batch_id_batch")),
        sa.ForeignKeyConstraint(["corrects"], ["due_line.id"], name=op.f("fk_due_line_corrects_due_line")),
        sa.ForeignKeyConstraint(["fx_rate_id"], ["fx_rate.id"], name=op.f("fk_due_line_fx_rate_id_fx_rate")),
        sa.ForeignKeyConstraint(["fx_through"], ["fx_rate.id"], name=op.f("fk_due_line_fx_through_fx_rate")),
        sa.ForeignKeyConstraint(["journal_id"], ["journal.id"], name=op.f("fk_due_line_journal_id_journal")),
        sa.ForeignKeyConstraint(
            ["period_id"], ["pay_period.id"], name=op.f("fk_due_line_period_id_pay_period")
        ),
        sa.ForeignKeyConstraint(["worker_id"], ["person.id"], name=op.f("fk_due_line_worker_id_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_due_line")),
        sa.UniqueConstraint("journal_id", name=op.f("uq_due_line_journal_id")),
    )
    op.create_index(
        "ix_due_line_batch_id",
        "due_line",
        ["batch_id"],
        unique=False,
        postgresql_include=["worker_id", "charge_currency", "charge", "agreed", "due", "seconds", "answers"],
    )
    op.create_index("ix_due_line_worker", "due_line", ["worker_id", "segment_start"], unique=False)
    op.create_index(
        "uq_due_line_segment",
        "due_line",
        ["period_id", "worker_id", "batch_id", "segment_start"],
        unique=True,
        postgresql_nulls_not_distinct=True,
    )
    op.create_table(
        "item",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("meta", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("gold", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("gold_why", sa.String(), server_default="", nullable=False),
        sa.Column("gold_void_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("broken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dropped_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_item_batch_id_batch")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_item")),
        sa.UniqueConstraint("batch_id", "key", name=op.f("uq_item_batch_id_key")),
    )
    op.create_table(
        "pay_terms",
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("pay_mode", sa.String(length=6), nullable=False),
        sa.Column("piece_price", sa.Numeric(precision=20, scale=6), nullable=True),
        sa.Column("hourly_rate", sa.Numeric(precision=20, scale=6), nullable=True),
        sa.Column("estimate_seconds", sa.Integer(), nullable=False),
        sa.Column("estimate_seconds_p95", sa.Integer(), nullable=False),
        sa.Column("grace_seconds", sa.Integer(), nullable=False),
        sa.Column("fee_percent", sa.Numeric(precision=5, scale=2), nullable=False),
        sa.Column("sensitive_multiplier", sa.Numeric(precision=4, scale=2), nullable=False),
        sa.Column("counts_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(pay_mode = 'piece') = (piece_price IS NOT NULL)", name=op.f("ck_pay_terms_piece_price")
        ),
        sa.CheckConstraint("pay_mode IN ('hourly', 'piece')", name=op.f("ck_pay_terms_pay_mode")),
        sa.CheckConstraint(
            "0 < estimate_seconds AND estimate_seconds <= estimate_seconds_p95",
            name=op.f("ck_pay_terms_estimate"),
        ),
        sa.CheckConstraint("fee_percent BETWEEN 0 AND 100", name=op.f("ck_pay_terms_fee")),
        sa.CheckConstraint("grace_seconds BETWEEN 0 AND 7200", name=op.f("ck_pay_terms_grace")),
        sa.CheckConstraint("piece_price > 0 AND hourly_rate > 0", name=op.f("ck_pay_terms_positive")),
        sa.CheckConstraint("sensitive_multiplier >= 1", name=op.f("ck_pay_terms_sensitive_multiplier")),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_pay_terms_batch_id_batch")),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_pay_terms")),
    )
    op.create_table(
        "terms_revision",
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("piece_price", sa.Numeric(precision=20, scale=6), nullable=True),
        sa.Column("hourly_rate", sa.Numeric(precision=20, scale=6), nullable=True),
        sa.Column("sensitive_multiplier", sa.Numeric(precision=4, scale=2), nullable=False),
        sa.Column("counts_from", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_terms_revision_batch_id_batch")),
        sa.PrimaryKeyConstraint("batch_id", "revision", name=op.f("pk_terms_revision")),
    )
    op.create_table(
        "reserve_estimate",
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=False),
        sa.Column("answered", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_reserve_estimate_batch_id_batch")),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_reserve_estimate")),
    )
    op.create_table(
        "upload",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("rows_good", sa.Integer(), nullable=False),
        sa.Column("rows_known", sa.Integer(), nullable=False),
        sa.Column("rows_bad", sa.Integer(), nullable=False),
        sa.Column("message", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_upload_batch_id_batch")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload")),
    )
    op.create_index(op.f("ix_upload_batch_id"), "upload", ["batch_id"], unique=False)
    op.create_table(
        "consensus",
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("answers", sa.Integer(), nullable=False),
        sa.Column("fields", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("computed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("weighed", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("chosen", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_consensus_batch_id_batch")),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_consensus_item_id_item")),
        sa.PrimaryKeyConstraint("item_id", name=op.f("pk_consensus")),
    )
    op.create_index("ix_consensus_batch_state", "consensus", ["batch_id", "state"], unique=False)
    op.create_table(
        "fit",
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("answers", sa.Integer(), nullable=False),
        sa.Column("last_answer_id", sa.BigInteger(), nullable=False),
        sa.Column("agreement", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("models", sa.LargeBinary(), nullable=False),
        sa.Column("computed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_fit_batch_id_batch")),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_fit")),
    )
    op.create_table(
        "item_decision",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("answers", sa.Integer(), nullable=False),
        sa.Column("winners", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("fit_version", sa.Integer(), nullable=True),
        sa.Column("reason", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_item_decision_batch_id_batch")),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_item_decision_item_id_item")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_item_decision_person_id_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_item_decision")),
    )
    op.create_index("ix_item_decision_item", "item_decision", ["item_id", "id"], unique=False)
    op.create_table(
        "permit",
        sa.Column("worker_id", sa.Uuid(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_permit_batch_id_batch")),
        sa.ForeignKeyConstraint(["worker_id"], ["person.id"], name=op.f("fk_permit_worker_id_person")),
        sa.PrimaryKeyConstraint("worker_id", "batch_id", name=op.f("pk_permit")),
    )
    op.create_table(
        "slot",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("copy", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("order_key", sa.Integer(), nullable=False),
        sa.Column("is_gold", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_slot_item_id_item")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_slot")),
        sa.UniqueConstraint("item_id", "copy", name=op.f("uq_slot_item_id_copy")),
    )
    op.create_index(
        "ix_slot_open",
        "slot",
        ["batch_id", "is_gold", "order_key", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("ix_slot_state", "slot", ["batch_id", "state"], unique=False)
    op.create_table(
        "upload_piece",
        sa.Column("upload_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], name=op.f("fk_upload_piece_upload_id_upload")),
        sa.PrimaryKeyConstraint("upload_id", "number", name=op.f("pk_upload_piece")),
    )
    op.execute("ALTER TABLE upload_piece ALTER COLUMN content SET STORAGE EXTERNAL")
    op.create_table(
        "upload_problem",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("upload_id", sa.Uuid(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("field", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("reason", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("hint", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["upload_id"], ["upload.id"], name=op.f("fk_upload_problem_upload_id_upload")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload_problem")),
    )
    op.create_index(op.f("ix_upload_problem_upload_id"), "upload_problem", ["upload_id"], unique=False)
    op.create_table(
        "assignment",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("slot_id", sa.BigInteger(), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("worker_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("surplus", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), server_default="", nullable=False),
        sa.Column("note", sa.String(), server_default="", nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_assignment_item_id_item")),
        sa.ForeignKeyConstraint(["slot_id"], ["slot.id"], name=op.f("fk_assignment_slot_id_slot")),
        sa.ForeignKeyConstraint(["worker_id"], ["person.id"], name=op.f("fk_assignment_worker_id_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignment")),
        sa.UniqueConstraint("item_id", "worker_id", name=op.f("uq_assignment_item_id_worker_id")),
    )
    op.create_index(op.f("ix_assignment_batch_id"), "assignment", ["batch_id"], unique=False)
    op.create_index(
        "ix_assignment_held",
        "assignment",
        ["worker_id", "batch_id", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'leased'"),
    )
    op.create_index(
        "ix_assignment_lease",
        "assignment",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("state = 'leased'"),
    )
    op.create_index("ix_assignment_worker", "assignment", ["worker_id", "batch_id", "state"], unique=False)
    op.create_table(
        "qualification",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("worker_id", sa.Uuid(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("right", sa.Integer(), nullable=False),
        sa.Column("checked", sa.Integer(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("evidence", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("by_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("again_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("outcome IN ('passed', 'stopped')", name=op.f("ck_qualification_outcome")),
        sa.CheckConstraint(
            "(outcome = 'stopped') = (again_at IS NOT NULL)", name=op.f("ck_qualification_again")
        ),
        sa.CheckConstraint(
            "by_id IS NULL OR (outcome = 'passed' AND reason <> '')",
            name=op.f("ck_qualification_by_a_person"),
        ),
        sa.ForeignKeyConstraint(["by_id"], ["person.id"], name=op.f("fk_qualification_by_id_person")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_qualification_project_id_project")
        ),
        sa.ForeignKeyConstraint(["worker_id"], ["person.id"], name=op.f("fk_qualification_worker_id_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_qualification")),
    )
    op.create_index(
        "ix_qualification_worker", "qualification", ["worker_id", "project_id", "id"], unique=False
    )
    op.create_table(
        "gold_check",
        sa.Column("assignment_id", sa.Uuid(), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("project_id", sa.Uuid(), nullable=False),
        sa.Column("worker_id", sa.Uuid(), nullable=False),
        sa.Column("is_right", sa.Boolean(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["assignment_id"], ["assignment.id"], name=op.f("fk_gold_check_assignment_id_assignment")
        ),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_gold_check_batch_id_batch")),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_gold_check_item_id_item")),
        sa.ForeignKeyConstraint(
            ["project_id"], ["project.id"], name=op.f("fk_gold_check_project_id_project")
        ),
        sa.ForeignKeyConstraint(["worker_id"], ["person.id"], name=op.f("fk_gold_check_worker_id_person")),
        sa.PrimaryKeyConstraint("assignment_id", name=op.f("pk_gold_check")),
    )
    op.create_index("ix_gold_check_batch", "gold_check", ["batch_id"], unique=False)
    op.create_index("ix_gold_check_item", "gold_check", ["item_id", "at"], unique=False)
    op.create_index("ix_gold_check_worker", "gold_check", ["project_id", "worker_id", "at"], unique=False)
    op.create_table(
        "gold_contest",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("assignment_id", sa.Uuid(), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column("worker_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decide_by", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decision_reason", sa.String(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("reason <> ''", name=op.f("ck_gold_contest_reason")),
        sa.CheckConstraint("state IN ('open', 'upheld', 'refused')", name=op.f("ck_gold_contest_state")),
        sa.CheckConstraint("(state = 'open') = (decided_at IS NULL)", name=op.f("ck_gold_contest_decided")),
        sa.CheckConstraint(
            "state <> 'refused' OR (decided_by IS NOT NULL AND decision_reason <> '')",
            name=op.f("ck_gold_contest_refused"),
        ),
        sa.ForeignKeyConstraint(
            ["assignment_id"], ["assignment.id"], name=op.f("fk_gold_contest_assignment_id_assignment")
        ),
        sa.ForeignKeyConstraint(
            ["decided_by"], ["person.id"], name=op.f("fk_gold_contest_decided_by_person")
        ),
        sa.ForeignKeyConstraint(["item_id"], ["item.id"], name=op.f("fk_gold_contest_item_id_item")),
        sa.ForeignKeyConstraint(["worker_id"], ["person.id"], name=op.f("fk_gold_contest_worker_id_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gold_contest")),
        sa.UniqueConstraint("assignment_id", name=op.f("uq_gold_contest_assignment_id")),
    )
    op.create_index(
        "ix_gold_contest_due",
        "gold_contest",
        ["decide_by"],
        unique=False,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("ix_gold_contest_item", "gold_contest", ["item_id"], unique=False)
    op.create_table(
        "answer",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("submission_id", sa.Uuid(), nullable=False),
        sa.Column("assignment_id", sa.Uuid(), nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("worker_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.Column("value", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["assignment_id"], ["assignment.id"], name=op.f("fk_answer_assignment_id_assignment")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_answer")),
        sa.UniqueConstraint("assignment_id", "version", name=op.f("uq_answer_assignment_id_version")),
        sa.UniqueConstraint("submission_id", name=op.f("uq_answer_submission_id")),
    )
    op.create_index(
        "ix_answer_batch", "answer", ["batch_id", "id"], unique=False, postgresql_where=sa.text("is_current")
    )
    op.create_index(
        "ix_answer_current", "answer", ["item_id"], unique=False, postgresql_where=sa.text("is_current")
    )
    op.create_table(
        "unseen_answer",
        sa.Column("answer_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("item_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("answer_id", name=op.f("pk_unseen_answer")),
    )
    op.create_index(op.f("ix_unseen_answer_item_id"), "unseen_answer", ["item_id"], unique=False)
    op.create_table(
        "earning",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("assignment_id", sa.Uuid(), nullable=False),
        sa.Column("worker_id", sa.Uuid(), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("piece_price", sa.Numeric(precision=20, scale=6), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["assignment_id"], ["assignment.id"], name=op.f("fk_earning_assignment_id_assignment")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_earning")),
        sa.UniqueConstraint("assignment_id", name=op.f("uq_earning_assignment_id")),
    )
    op.create_index("ix_earning_batch", "earning", ["batch_id"], unique=False)
    op.create_index("ix_earning_worker_at", "earning", ["worker_id", "at"], unique=False)
    op.create_table(
        "proof",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("worker_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("assignment_id", sa.Uuid(), nullable=True),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["assignment_id"], ["assignment.id"], name=op.f("fk_proof_assignment_id_assignment")
        ),
        sa.ForeignKeyConstraint(["worker_id"], ["person.id"], name=op.f("fk_proof_worker_id_person")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proof")),
    )
    op.create_index("ix_proof_batch", "proof", ["batch_id"], unique=False)
    op.create_index("ix_proof_worker_at", "proof", ["worker_id", "at"], unique=False)
    op.create_index("ix_proof_worker_unit", "proof", ["worker_id", "unit", "at"], unique=False)
    for statement in GUARDS:
        op.execute(statement)


def downgrade() -> None:
    """There is nothing before the first tables."""
    raise NotImplementedError
