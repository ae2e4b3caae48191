CREATE TABLE public.access_keys (
    id bigint NOT NULL,
    key character varying(32) NOT NULL,
    secret text NOT NULL,
    created_at bigint NOT NULL
);

CREATE SEQUENCE public.access_keys_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.access_keys_id_seq OWNED BY public.access_keys.id;

CREATE TABLE public.addresses (
    user_id bigint NOT NULL,
    kind character varying(20) NOT NULL,
    bind_id character varying(32) NOT NULL,
    value character varying(254) NOT NULL
);

CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);

CREATE TABLE public.attempts (
    id bigint NOT NULL,
    delivery_id bigint NOT NULL,
    number smallint NOT NULL,
    sender_id bigint NOT NULL,
    started_at bigint NOT NULL,
    duration_ms integer NOT NULL,
    stage character varying(10) NOT NULL,
    verdict character varying(10) NOT NULL,
    reason character varying(40) NOT NULL,
    code smallint NOT NULL,
    enhanced character varying(16) NOT NULL,
    reply text NOT NULL
);

CREATE SEQUENCE public.attempts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.attempts_id_seq OWNED BY public.attempts.id;

CREATE TABLE public.audit (
    id bigint NOT NULL,
    at bigint NOT NULL,
    actor character varying(60) NOT NULL,
    action character varying(60) NOT NULL,
    subject character varying(120) NOT NULL,
    detail text NOT NULL,
    address character varying(45) DEFAULT ''::character varying NOT NULL,
    before text,
    after text,
    times integer DEFAULT 1 NOT NULL,
    seq bigint,
    hash character varying(64)
);

CREATE SEQUENCE public.audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.audit_id_seq OWNED BY public.audit.id;

CREATE TABLE public.blocked_words (
    id bigint NOT NULL,
    word character varying(100) NOT NULL,
    channel_id bigint,
    exempt boolean DEFAULT false NOT NULL,
    created_at bigint NOT NULL
);

CREATE SEQUENCE public.blocked_words_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.blocked_words_id_seq OWNED BY public.blocked_words.id;

CREATE TABLE public.broadcast_usage (
    channel_id bigint NOT NULL,
    day character varying(10) NOT NULL,
    broadcasts integer NOT NULL
);

CREATE TABLE public.callback_addresses (
    id bigint NOT NULL,
    channel_id bigint NOT NULL,
    url text NOT NULL,
    is_default boolean NOT NULL,
    schedule character varying(10) NOT NULL,
    form character varying(10) DEFAULT 'signed'::character varying NOT NULL,
    username text DEFAULT ''::text NOT NULL,
    password text,
    secret text NOT NULL,
    old_secret text,
    old_secret_until bigint,
    state character varying(10) NOT NULL,
    state_changed_at bigint NOT NULL,
    failing_since bigint,
    failures integer DEFAULT 0 NOT NULL,
    cooldown_until bigint,
    created_at bigint NOT NULL
);

CREATE SEQUENCE public.callback_addresses_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.callback_addresses_id_seq OWNED BY public.callback_addresses.id;

CREATE TABLE public.callback_batches (
    id bigint NOT NULL,
    address_id bigint NOT NULL,
    webhook_id character varying(40) NOT NULL,
    state character varying(10) NOT NULL,
    owner character varying(40),
    size integer NOT NULL,
    first_at bigint NOT NULL,
    last_at bigint NOT NULL,
    due_at bigint NOT NULL,
    tries integer DEFAULT 0 NOT NULL,
    last_status smallint DEFAULT '0'::smallint NOT NULL,
    last_error text DEFAULT ''::text NOT NULL,
    created_at bigint NOT NULL,
    ended_at bigint
);

CREATE SEQUENCE public.callback_batches_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.callback_batches_id_seq OWNED BY public.callback_batches.id;

CREATE TABLE public.callback_records (
    id bigint NOT NULL,
    address_id bigint NOT NULL,
    message_id bigint NOT NULL,
    delivery_id bigint NOT NULL,
    type smallint NOT NULL,
    at bigint NOT NULL,
    code integer NOT NULL,
    error text NOT NULL,
    batch_id bigint
);

CREATE SEQUENCE public.callback_records_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.callback_records_id_seq OWNED BY public.callback_records.id;

CREATE TABLE public.cap_usage (
    sender_id bigint NOT NULL,
    cap character varying(80) NOT NULL,
    window_start bigint NOT NULL,
    used integer NOT NULL
);

CREATE TABLE public.channel_senders (
    channel_id bigint NOT NULL,
    sender_id bigint NOT NULL,
    is_default boolean NOT NULL,
    rank smallint DEFAULT '0'::smallint NOT NULL,
    weight smallint DEFAULT '1'::smallint NOT NULL
);

CREATE TABLE public.channels (
    id bigint NOT NULL,
    name character varying(30) NOT NULL,
    key character varying(32) NOT NULL,
    secret text NOT NULL,
    old_secret text,
    old_secret_until bigint,
    open boolean NOT NULL,
    rules text DEFAULT '{}'::text NOT NULL,
    created_at bigint NOT NULL
);

CREATE SEQUENCE public.channels_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.channels_id_seq OWNED BY public.channels.id;

CREATE TABLE public.deliveries (
    id bigint NOT NULL,
    message_id bigint NOT NULL,
    sender_id bigint NOT NULL,
    userid character varying(64) NOT NULL,
    address character varying(254) NOT NULL,
    state character varying(10) NOT NULL,
    reason character varying(40) NOT NULL,
    priority smallint NOT NULL,
    due_at bigint NOT NULL,
    owner character varying(40),
    epoch integer NOT NULL,
    counted_tries smallint NOT NULL,
    tries smallint NOT NULL,
    unknown_count smallint NOT NULL,
    variables text,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);

CREATE SEQUENCE public.deliveries_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.deliveries_id_seq OWNED BY public.deliveries.id;

CREATE TABLE public.domain_rates (
    sender_id bigint NOT NULL,
    domain character varying(255) NOT NULL,
    per_minute integer NOT NULL,
    resume_at bigint NOT NULL,
    updated_at bigint NOT NULL
);

CREATE TABLE public.drafts (
    id bigint NOT NULL,
    operator_id bigint NOT NULL,
    channel_id bigint NOT NULL,
    content text NOT NULL,
    form text,
    updated_at bigint NOT NULL,
    msgid character varying(80)
);

CREATE SEQUENCE public.drafts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.drafts_id_seq OWNED BY public.drafts.id;

CREATE TABLE public.feedback_reports (
    delivery_id bigint NOT NULL,
    digest character varying(32) NOT NULL,
    at bigint NOT NULL
);

CREATE TABLE public.files (
    message_id bigint NOT NULL,
    "position" smallint NOT NULL,
    name text NOT NULL,
    content_type text NOT NULL,
    data bytea,
    material_id bigint,
    cid character varying(100) DEFAULT ''::character varying NOT NULL
);

CREATE TABLE public.frequency_cap_log (
    channel_id bigint NOT NULL,
    address character varying(254) NOT NULL,
    message_id bigint NOT NULL,
    at bigint NOT NULL
);

CREATE TABLE public.full_mailboxes (
    channel_id bigint NOT NULL,
    address character varying(254) NOT NULL,
    count integer NOT NULL,
    first_at bigint NOT NULL,
    last_at bigint NOT NULL,
    message_id bigint NOT NULL
);

CREATE TABLE public.idempotency (
    channel_id bigint NOT NULL,
    key character varying(255) NOT NULL,
    body_hash character varying(64) NOT NULL,
    msgid character varying(80) NOT NULL,
    created_at bigint NOT NULL
);

CREATE TABLE public.idempotent_responses (
    caller character varying(60) NOT NULL,
    key character varying(255) NOT NULL,
    fingerprint character varying(64) NOT NULL,
    response text,
    until bigint NOT NULL,
    created_at bigint NOT NULL
);

CREATE TABLE public.import_batches (
    import_id bigint NOT NULL,
    number integer NOT NULL,
    changes text NOT NULL
);

CREATE TABLE public.import_rejects (
    import_id bigint NOT NULL,
    "row" integer NOT NULL,
    cells text NOT NULL,
    reason text NOT NULL
);

CREATE TABLE public.imports (
    id bigint NOT NULL,
    file text NOT NULL,
    name text NOT NULL,
    digest character varying(64) NOT NULL,
    bind_id character varying(32) NOT NULL,
    state character varying(12) NOT NULL,
    detail text NOT NULL,
    cursor integer NOT NULL,
    size integer NOT NULL,
    added integer NOT NULL,
    changed integer NOT NULL,
    unchanged integer NOT NULL,
    rejected integer NOT NULL,
    mapping text,
    sheet text,
    header text,
    header_row integer,
    undone integer DEFAULT 0 NOT NULL,
    kept integer DEFAULT 0 NOT NULL,
    owner character varying(40),
    created_at bigint NOT NULL,
    started_at bigint,
    finished_at bigint,
    dismissed_at bigint
);

CREATE SEQUENCE public.imports_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.imports_id_seq OWNED BY public.imports.id;

CREATE TABLE public.invitations (
    id bigint NOT NULL,
    digest character varying(64) NOT NULL,
    role character varying(20) NOT NULL,
    channels text,
    created_by character varying(60) NOT NULL,
    operator_id bigint,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    used_by character varying(60),
    used_at bigint
);

CREATE SEQUENCE public.invitations_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.invitations_id_seq OWNED BY public.invitations.id;

CREATE TABLE public.list_entries (
    list_id bigint NOT NULL,
    kind character varying(10) NOT NULL,
    value character varying(254) NOT NULL
);

CREATE TABLE public.lists (
    id bigint NOT NULL,
    channel_id bigint NOT NULL,
    kind character varying(10) NOT NULL,
    name character varying(60) NOT NULL,
    created_at bigint NOT NULL,
    deleted_at bigint
);

CREATE SEQUENCE public.lists_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.lists_id_seq OWNED BY public.lists.id;

CREATE TABLE public.mailboxes (
    sender_id bigint NOT NULL,
    settings text NOT NULL,
    secret text NOT NULL,
    uidvalidity bigint DEFAULT '0'::bigint NOT NULL,
    uid bigint DEFAULT '0'::bigint NOT NULL,
    found_sent_folder text DEFAULT ''::text NOT NULL,
    polled_at bigint,
    next_poll_at bigint NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    problem character varying(60) DEFAULT ''::character varying NOT NULL,
    problem_detail text DEFAULT ''::text NOT NULL,
    arrived integer DEFAULT 0 NOT NULL,
    bounced integer DEFAULT 0 NOT NULL,
    complained integer DEFAULT 0 NOT NULL
);

CREATE TABLE public.material_chunks (
    material_id bigint NOT NULL,
    "position" integer NOT NULL,
    data bytea NOT NULL
);

CREATE TABLE public.materials (
    id bigint NOT NULL,
    token character varying(43) NOT NULL,
    channel_id bigint,
    name text NOT NULL,
    content_type text NOT NULL,
    size bigint NOT NULL,
    created_at bigint NOT NULL,
    stored_at bigint,
    expires_at bigint NOT NULL
);

CREATE SEQUENCE public.materials_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.materials_id_seq OWNED BY public.materials.id;

CREATE TABLE public.messages (
    id bigint NOT NULL,
    msgid character varying(80) NOT NULL,
    channel_id bigint NOT NULL,
    sender_id bigint NOT NULL,
    audience text NOT NULL,
    content text NOT NULL,
    options text NOT NULL,
    asker_id bigint,
    owner_id bigint,
    approved_by character varying(60) DEFAULT ''::character varying NOT NULL,
    broadcast boolean DEFAULT false NOT NULL,
    origin character varying(10) DEFAULT 'v1'::character varying NOT NULL,
    requested_by character varying(60) DEFAULT ''::character varying NOT NULL,
    requested_from character varying(45) DEFAULT ''::character varying NOT NULL,
    template_id bigint,
    template_version integer,
    black_id bigint,
    white_id bigint,
    callback_id bigint,
    event_mask integer DEFAULT 0 NOT NULL,
    priority smallint NOT NULL,
    failover_allowed boolean DEFAULT false NOT NULL,
    on_unknown character varying(10) NOT NULL,
    state character varying(12) NOT NULL,
    halt character varying(12) DEFAULT ''::character varying NOT NULL,
    halted_at bigint,
    halt_reason character varying(12) DEFAULT ''::character varying NOT NULL,
    halt_detail text DEFAULT ''::text NOT NULL,
    starts_at bigint DEFAULT '0'::bigint NOT NULL,
    cursor bigint NOT NULL,
    plan text,
    audience_size bigint NOT NULL,
    accepted_at bigint NOT NULL,
    expires_at bigint NOT NULL
);

CREATE SEQUENCE public.messages_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.messages_id_seq OWNED BY public.messages.id;

CREATE TABLE public.meta (
    name character varying(40) NOT NULL,
    value text NOT NULL
);

CREATE TABLE public.one_time_secrets (
    id bigint NOT NULL,
    operator_id bigint NOT NULL,
    kind character varying(20) NOT NULL,
    sealed text NOT NULL,
    expires_at bigint NOT NULL
);

CREATE SEQUENCE public.one_time_secrets_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.one_time_secrets_id_seq OWNED BY public.one_time_secrets.id;

CREATE TABLE public.operators (
    id bigint NOT NULL,
    name character varying(60) NOT NULL,
    name_key character varying(64) DEFAULT ''::character varying NOT NULL,
    password_hash text NOT NULL,
    role character varying(20) NOT NULL,
    disabled boolean DEFAULT false NOT NULL,
    channels text,
    must_change_password boolean DEFAULT false NOT NULL,
    totp text,
    totp_step bigint,
    recovery text,
    zone character varying(60),
    created_at bigint NOT NULL
);

CREATE SEQUENCE public.operators_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.operators_id_seq OWNED BY public.operators.id;

CREATE TABLE public.pending_halts (
    message_id bigint NOT NULL,
    kind character varying(12) NOT NULL,
    created_at bigint NOT NULL
);

CREATE TABLE public.reply_rules (
    id bigint NOT NULL,
    text character varying(200) NOT NULL,
    code character varying(3) NOT NULL,
    reason character varying(40) NOT NULL,
    created_at bigint NOT NULL
);

CREATE SEQUENCE public.reply_rules_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.reply_rules_id_seq OWNED BY public.reply_rules.id;

CREATE TABLE public.sandbox_mails (
    id bigint NOT NULL,
    received_at bigint NOT NULL,
    mail_from text NOT NULL,
    rcpt_to text NOT NULL,
    subject text NOT NULL,
    size integer NOT NULL,
    source bytea NOT NULL,
    channel_id bigint
);

CREATE SEQUENCE public.sandbox_mails_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.sandbox_mails_id_seq OWNED BY public.sandbox_mails.id;

CREATE TABLE public.segments (
    id bigint NOT NULL,
    name character varying(60) NOT NULL,
    conditions text NOT NULL,
    created_at bigint NOT NULL
);

CREATE SEQUENCE public.segments_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.segments_id_seq OWNED BY public.segments.id;

CREATE TABLE public.sender_outcomes (
    sender_id bigint NOT NULL,
    slot bigint NOT NULL,
    total integer NOT NULL,
    bounced integer NOT NULL,
    unknown integer NOT NULL,
    complained integer DEFAULT 0 NOT NULL
);

CREATE TABLE public.senders (
    id bigint NOT NULL,
    code character varying(30) NOT NULL,
    name character varying(30) NOT NULL,
    type character varying(20) NOT NULL,
    settings text NOT NULL,
    secret text,
    open boolean NOT NULL,
    cooldown_until bigint,
    cooldown_reason character varying(60),
    cooldown_detail text,
    failures integer DEFAULT 0 NOT NULL,
    caps text DEFAULT '[]'::text NOT NULL,
    urgent_reserve_percent smallint DEFAULT '10'::smallint NOT NULL,
    cap_reached_until bigint,
    urgent_cap_reached_until bigint,
    session_limit integer,
    session_limit_until bigint,
    warm_up text,
    warm_up_count integer DEFAULT 0 NOT NULL,
    warm_up_day_ends_at bigint,
    warm_up_frozen boolean DEFAULT false NOT NULL,
    throttled_until bigint,
    suspended_at bigint,
    created_at bigint NOT NULL
);

CREATE SEQUENCE public.senders_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.senders_id_seq OWNED BY public.senders.id;

CREATE TABLE public.sessions (
    id bigint NOT NULL,
    digest character varying(64) NOT NULL,
    operator_id bigint NOT NULL,
    address character varying(45) NOT NULL,
    user_agent character varying(200) NOT NULL,
    created_at bigint NOT NULL,
    last_seen_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    authenticated_at bigint DEFAULT '0'::bigint NOT NULL
);

CREATE SEQUENCE public.sessions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.sessions_id_seq OWNED BY public.sessions.id;

CREATE TABLE public.strategies (
    id bigint NOT NULL,
    channel_id bigint NOT NULL,
    name character varying(60) NOT NULL,
    steps text NOT NULL,
    valid boolean DEFAULT true NOT NULL,
    created_at bigint NOT NULL
);

CREATE SEQUENCE public.strategies_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.strategies_id_seq OWNED BY public.strategies.id;

CREATE TABLE public.suppressions (
    id bigint NOT NULL,
    channel_id bigint NOT NULL,
    address character varying(254) NOT NULL,
    reason character varying(40) NOT NULL,
    reply text NOT NULL,
    reply_pattern character varying(160) NOT NULL,
    delivery_id bigint,
    created_at bigint NOT NULL,
    expires_at bigint
);

CREATE SEQUENCE public.suppressions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.suppressions_id_seq OWNED BY public.suppressions.id;

CREATE TABLE public.tags (
    user_id bigint NOT NULL,
    bind_id character varying(32) NOT NULL,
    tag character varying(40) NOT NULL
);

CREATE TABLE public.template_versions (
    template_id bigint NOT NULL,
    version integer NOT NULL,
    subject text NOT NULL,
    html text,
    text text,
    mjml text,
    defaults text NOT NULL,
    variables text NOT NULL,
    compiled text NOT NULL,
    created_at bigint NOT NULL
);

CREATE TABLE public.templates (
    id bigint NOT NULL,
    channel_id bigint NOT NULL,
    name character varying(60) NOT NULL,
    open boolean NOT NULL,
    listed boolean DEFAULT true NOT NULL,
    version integer NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);

CREATE SEQUENCE public.templates_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.templates_id_seq OWNED BY public.templates.id;

CREATE TABLE public.throttle (
    key character varying(50) NOT NULL,
    count integer NOT NULL,
    at bigint NOT NULL,
    until bigint NOT NULL
);

CREATE TABLE public.tokens (
    id bigint NOT NULL,
    name character varying(40) NOT NULL,
    digest character varying(64) NOT NULL,
    hint character varying(8) NOT NULL,
    scopes text NOT NULL,
    channels text NOT NULL,
    created_by character varying(60) NOT NULL,
    parent_id bigint,
    operator_id bigint,
    created_at bigint NOT NULL,
    expires_at bigint,
    last_used_at bigint,
    revoked_at bigint
);

CREATE SEQUENCE public.tokens_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.tokens_id_seq OWNED BY public.tokens.id;

CREATE TABLE public.user_search (
    id bigint NOT NULL,
    user_id bigint NOT NULL,
    bind_id character varying(32) NOT NULL,
    text text NOT NULL
);

CREATE SEQUENCE public.user_search_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.user_search_id_seq OWNED BY public.user_search.id;

CREATE TABLE public.users (
    id bigint NOT NULL,
    userid character varying(64) NOT NULL,
    attributes jsonb NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);

CREATE SEQUENCE public.users_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.users_id_seq OWNED BY public.users.id;

CREATE TABLE public.worker_crashes (
    delivery_id bigint NOT NULL,
    count integer NOT NULL,
    at bigint NOT NULL
);

CREATE TABLE public.workers (
    owner character varying(40) NOT NULL,
    started_at bigint NOT NULL,
    lease_until bigint NOT NULL
);

ALTER TABLE ONLY public.access_keys ALTER COLUMN id SET DEFAULT nextval('public.access_keys_id_seq'::regclass);

ALTER TABLE ONLY public.attempts ALTER COLUMN id SET DEFAULT nextval('public.attempts_id_seq'::regclass);

ALTER TABLE ONLY public.audit ALTER COLUMN id SET DEFAULT nextval('public.audit_id_seq'::regclass);

ALTER TABLE ONLY public.blocked_words ALTER COLUMN id SET DEFAULT nextval('public.blocked_words_id_seq'::regclass);

ALTER TABLE ONLY public.callback_addresses ALTER COLUMN id SET DEFAULT nextval('public.callback_addresses_id_seq'::regclass);

ALTER TABLE ONLY public.callback_batches ALTER COLUMN id SET DEFAULT nextval('public.callback_batches_id_seq'::regclass);

ALTER TABLE ONLY public.callback_records ALTER COLUMN id SET DEFAULT nextval('public.callback_records_id_seq'::regclass);

ALTER TABLE ONLY public.channels ALTER COLUMN id SET DEFAULT nextval('public.channels_id_seq'::regclass);

ALTER TABLE ONLY public.deliveries ALTER COLUMN id SET DEFAULT nextval('public.deliveries_id_seq'::regclass);

ALTER TABLE ONLY public.drafts ALTER COLUMN id SET DEFAULT nextval('public.drafts_id_seq'::regclass);

ALTER TABLE ONLY public.imports ALTER COLUMN id SET DEFAULT nextval('public.imports_id_seq'::regclass);

ALTER TABLE ONLY public.invitations ALTER COLUMN id SET DEFAULT nextval('public.invitations_id_seq'::regclass);

ALTER TABLE ONLY public.lists ALTER COLUMN id SET DEFAULT nextval('public.lists_id_seq'::regclass);

ALTER TABLE ONLY public.materials ALTER COLUMN id SET DEFAULT nextval('public.materials_id_seq'::regclass);

ALTER TABLE ONLY public.messages ALTER COLUMN id SET DEFAULT nextval('public.messages_id_seq'::regclass);

ALTER TABLE ONLY public.one_time_secrets ALTER COLUMN id SET DEFAULT nextval('public.one_time_secrets_id_seq'::regclass);

ALTER TABLE ONLY public.operators ALTER COLUMN id SET DEFAULT nextval('public.operators_id_seq'::regclass);

ALTER TABLE ONLY public.reply_rules ALTER COLUMN id SET DEFAULT nextval('public.reply_rules_id_seq'::regclass);

ALTER TABLE ONLY public.sandbox_mails ALTER COLUMN id SET DEFAULT nextval('public.sandbox_mails_id_seq'::regclass);

ALTER TABLE ONLY public.segments ALTER COLUMN id SET DEFAULT nextval('public.segments_id_seq'::regclass);

ALTER TABLE ONLY public.senders ALTER COLUMN id SET DEFAULT nextval('public.senders_id_seq'::regclass);

ALTER TABLE ONLY public.sessions ALTER COLUMN id SET DEFAULT nextval('public.sessions_id_seq'::regclass);

ALTER TABLE ONLY public.strategies ALTER COLUMN id SET DEFAULT nextval('public.strategies_id_seq'::regclass);

ALTER TABLE ONLY public.suppressions ALTER COLUMN id SET DEFAULT nextval('public.suppressions_id_seq'::regclass);

ALTER TABLE ONLY public.templates ALTER COLUMN id SET DEFAULT nextval('public.templates_id_seq'::regclass);

ALTER TABLE ONLY public.tokens ALTER COLUMN id SET DEFAULT nextval('public.tokens_id_seq'::regclass);

ALTER TABLE ONLY public.user_search ALTER COLUMN id SET DEFAULT nextval('public.user_search_id_seq'::regclass);

ALTER TABLE ONLY public.users ALTER COLUMN id SET DEFAULT nextval('public.users_id_seq'::regclass);

INSERT INTO public.addresses VALUES (1, 'email', '7953957d42e48db07bb5f67e', 'a7953957d42e48db07bb5f67e@private.example');

INSERT INTO public.alembic_version VALUES ('0100');

INSERT INTO public.attempts VALUES (1, 1, 1, 1, 1796065563263, 122, 'dot', 'sent', 'sent', 250, '2.0.0', 'Ok: queued as 1');

INSERT INTO public.audit VALUES (1, 1796065561438, 'local', 'channel.create', '7953957d42e48db07bb5f67e', '', '', NULL, '{"name":"channel 4","open":true,"zone":"UTC"}', 1, 1, 'a58c75f387e0d00ca28f06c172af21e4d4e37a456c6ecd27791d5b8d99965829');
INSERT INTO public.audit VALUES (2, 1796065561758, 'local', 'channel.rules', '7953957d42e48db07bb5f67e', '', '', '{"broadcasts_per_day":10,"requests_per_second":100}', '{"broadcasts_per_day":0,"requests_per_second":0}', 1, 2, '6a6da4238d3b4c9d4814e3081c9c05609f1b9e9168fc07afe12a4ebb19986423');
INSERT INTO public.audit VALUES (3, 1796065561852, 'local', 'sender.create', 'sender5', '127.0.0.1:40473 none port approved', '', NULL, '{"host":"127.0.0.1","port":40473,"encryption":"none","account":"","from_address":"ums@sender.example","from_name":"","name":"sender5","open":true,"urgent_reserve_percent":10,"caps":[],"password":""}', 1, 3, '5d0e09fb5dae8b1d2dd310f1fa2f147bc8a8e590aae14130e7aad4af626c2d96');
INSERT INTO public.audit VALUES (4, 1796065562510, 'local', 'token.create', '1', 'test 6: admin', '', NULL, '{"name":"test 6","scopes":["admin"],"channels":null,"expires_at":null}', 1, NULL, NULL);
INSERT INTO public.audit VALUES (5, 1796065562599, 'channel:7953957d42e48db07bb5f67e', 'user.put', 'someone3', '', '127.0.0.1', NULL, '{"email 7953957d42e48db07bb5f67e":["a7953957d42e48db07bb5f67e@private.example"]}', 1, NULL, NULL);
INSERT INTO public.audit VALUES (6, 1796065563753, 'channel:7953957d42e48db07bb5f67e', 'delivery.list', 'channel:7953957d42e48db07bb5f67e', '', '127.0.0.1', NULL, '{"given":1}', 1, NULL, NULL);
INSERT INTO public.audit VALUES (7, 1796065565901, 'token:1:test 6', 'operator.create', 'op7953957d42e48db07bb5f67e', 'viewer', '127.0.0.1', NULL, '{"role":"viewer","disabled":false,"channels":null,"must_change_password":false}', 1, NULL, NULL);
INSERT INTO public.audit VALUES (8, 1796065566259, 'token:1:test 6', 'token.create', '2', 'theirs: admin', '127.0.0.1', NULL, '{"name":"theirs","scopes":["admin"],"channels":["7953957d42e48db07bb5f67e"],"expires_at":null}', 1, NULL, NULL);
INSERT INTO public.audit VALUES (9, 1796065566332, 'local', 'material.upload', '1', '', '', NULL, '{"name":"theirs.txt","size":6,"hours":24}', 1, NULL, NULL);
INSERT INTO public.audit VALUES (10, 1796065567952, 'token:1:test 6', 'template.create', '1', 'of 7953957d42e48db07bb5f67e', '127.0.0.1', NULL, '{"version":1,"name":"of 7953957d42e48db07bb5f67e","subject":"s","html":null,"text":"t","mjml":null,"defaults":{}}', 1, NULL, NULL);
INSERT INTO public.audit VALUES (11, 1796065568008, 'token:1:test 6', 'blocklist.create', '7953957d42e48db07bb5f67e 1', 'of 7953957d42e48db07bb5f67e', '127.0.0.1', NULL, '{"name":"of 7953957d42e48db07bb5f67e"}', 1, NULL, NULL);
INSERT INTO public.audit VALUES (12, 1796065568133, 'token:1:test 6', 'strategy.create', '7953957d42e48db07bb5f67e 1', 'of 7953957d42e48db07bb5f67e', '127.0.0.1', NULL, '{"steps":[{"type":"email","wait":0,"condition":null}],"valid":true}', 1, NULL, NULL);
INSERT INTO public.audit VALUES (13, 1796065568180, 'token:1:test 6', 'word.add', '7953957d42e48db07bb5f67e', 'of 7953957d42e48db07bb5f67e', '127.0.0.1', NULL, '{"word":"of 7953957d42e48db07bb5f67e","exempt":false}', 1, NULL, NULL);
INSERT INTO public.audit VALUES (14, 1796065568264, 'token:1:test 6', 'segment.create', '1', 'segment 4', '127.0.0.1', NULL, '{"name":"segment 4","conditions":"{}"}', 1, NULL, NULL);
INSERT INTO public.audit VALUES (15, 1796065568294, 'token:1:test 6', 'reply_rule.create', '1', 'of 7953957d42e48db07bb5f67e: rate', '127.0.0.1', NULL, '{"text":"of 7953957d42e48db07bb5f67e","code":"","reason":"rate"}', 1, NULL, NULL);

INSERT INTO public.blocked_words VALUES (1, 'of 7953957d42e48db07bb5f67e', 1, false, 1796065568155);

INSERT INTO public.callback_addresses VALUES (1, 1, 'https://7953957d42e48db07bb5f67e.private.example/told', true, 'hosted', 'signed', '', NULL, 'v2:c1264c1e0b48:IfCLkNmMsyXTbxFTRwU8hHTEwqNP2cNBYvc3JVqv2K3Ud29qv4RVoMSBXBkmT2tj+Ik5Sjko6PH6Or3N+GC7T9jpyQyUFsBIG6FphfN8', NULL, NULL, 'verified', 1796065568302, NULL, 0, NULL, 1796065568302);

INSERT INTO public.callback_batches VALUES (1, 1, 'of 7953957d42e48db07bb5f67e', 'dead', NULL, 0, 1796065568302, 1796065568302, 1796065568302, 0, 0, '', 1796065568302, 1796065568302);

INSERT INTO public.channel_senders VALUES (1, 1, true, 0, 1);

INSERT INTO public.channels VALUES (1, 'channel 4', '7953957d42e48db07bb5f67e', 'v2:c1264c1e0b48:NegzCaq+GIEt4iQmJN47FHecXRON/CXvGRN8J/RJfi6jhe8oqbG6XmOh1fQ+l67qIqU4pA==', NULL, NULL, true, '{"broadcasts_per_day":0,"requests_per_second":0}', 1796065561342);

INSERT INTO public.deliveries VALUES (1, 1, 1, 'someone3', 'a7953957d42e48db07bb5f67e@private.example', 'sent', '', 2, 1796065563386, NULL, 1, 1, 1, 0, NULL, 1796065562629, 1796065563400);

INSERT INTO public.lists VALUES (1, 1, 'block', 'of 7953957d42e48db07bb5f67e', 1796065567991, NULL);

INSERT INTO public.material_chunks VALUES (1, 0, '\x746865697273');

INSERT INTO public.materials VALUES (1, '2NOILvYhWvIjOZf_VEyMPz1Yh456b4ox_AXVrp4NQgw', 1, 'theirs.txt', 'text/plain', 6, 1796065566297, 1796065566287, 1796151966287);

INSERT INTO public.messages VALUES (1, 'v:1t:1796065562p:855644693n:1', 1, 1, '{"userids":["someone3"]}', '{"subject":"s","text":"t"}', '{}', NULL, NULL, '', false, 'v1', 'channel:7953957d42e48db07bb5f67e', '127.0.0.1', NULL, NULL, NULL, NULL, NULL, 0, 2, true, 'resend', 'expanded', '', NULL, '', '', 0, 0, NULL, 1, 1796065562617, 1796151962617);

INSERT INTO public.meta VALUES ('instance', '6512d0bbec8f5dd6');
INSERT INTO public.meta VALUES ('audit_head', '{"seq":3,"hash":"5d0e09fb5dae8b1d2dd310f1fa2f147bc8a8e590aae14130e7aad4af626c2d96","code":"6c89f75622e04bb991699d9c856e0fd055930ea0edf2e31b8a111b0166198112","keep_ms":0}');
INSERT INTO public.meta VALUES ('seen_at', '1796065562105');
INSERT INTO public.meta VALUES ('directory_revision', '5');

INSERT INTO public.operators VALUES (1, 'op7953957d42e48db07bb5f67e', 'ed91dd19b06a0c7193f0ee500e7ddfe521da32534ffc2e694795aac3d75d6026', '$argon2id$v=19$m=65536,t=3,p=4$0RNuT/4pKRZnGYF/onqx+A$tEtagGr8u148au12Bx2yqtCIyE8jqhYMmiEu5k/E67k', 'viewer', false, NULL, false, NULL, NULL, NULL, NULL, 1796065565888);

INSERT INTO public.reply_rules VALUES (1, 'of 7953957d42e48db07bb5f67e', '', 'rate', 1796065568287);

INSERT INTO public.segments VALUES (1, 'segment 4', '{}', 1796065568256);

INSERT INTO public.sender_outcomes VALUES (1, 1796065560000, 1, 0, 0, 0);

INSERT INTO public.senders VALUES (1, 'sender5', 'sender5', 'email', '{"host":"127.0.0.1","port":40473,"encryption":"none","account":"","from_address":"ums@sender.example","from_name":""}', 'v2:c1264c1e0b48:6KdXAk6xByL3pG0hLliS0U9blZ9gX4yZWuUSBw==', true, NULL, NULL, NULL, 0, '[]', 10, NULL, NULL, NULL, NULL, NULL, 0, NULL, false, NULL, NULL, 1796065561819);

INSERT INTO public.sessions VALUES (1, '65a17a1ecaaf14d836a459d9977965c024eb7dfa67c0c109201d047b061821dc', 1, '127.0.0.1', '', 1796065565985, 1796065565985, 1797275165985, 1796065565985);

INSERT INTO public.strategies VALUES (1, 1, 'of 7953957d42e48db07bb5f67e', '[{"type":"email"}]', true, 1796065568114);

INSERT INTO public.template_versions VALUES (1, 1, 's', NULL, 't', NULL, '{}', '{"names":[],"required":[]}', '{"subject":{"texts":["s"],"body":[2,[["s",0]]],"slots":0},"text":{"texts":["t"],"body":[2,[["s",0]]],"slots":0}}', 1796065567887);

INSERT INTO public.templates VALUES (1, 1, 'of 7953957d42e48db07bb5f67e', true, true, 1, 1796065567881, 1796065567881);

INSERT INTO public.tokens VALUES (1, 'test 6', 'b4896b44af407b2e64b57a8fe8971e22816defc6bc04b5e93680255a699fd072', '84yY', '["admin"]', 'null', 'local', NULL, NULL, 1796065562382, NULL, 1796065563889, NULL);
INSERT INTO public.tokens VALUES (2, 'theirs', '2463e1f9fe0073c655d7bb2d51f4328f8af5114bfe9c3a66fcfdb37a6f30768a', 'n_5s', '["admin"]', '[1]', 'token:1:test 6', 1, NULL, 1796065566221, NULL, NULL, NULL);

INSERT INTO public.user_search VALUES (1, 1, '7953957d42e48db07bb5f67e', 'a7953957d42e48db07bb5f67e@private.example

');
INSERT INTO public.user_search VALUES (2, 1, 'all', 'someone3

');

INSERT INTO public.users VALUES (1, 'someone3', '{}', 1796065562536, 1796065562536);

SELECT pg_catalog.setval('public.access_keys_id_seq', 1, false);

SELECT pg_catalog.setval('public.attempts_id_seq', 1, true);

SELECT pg_catalog.setval('public.audit_id_seq', 15, true);

SELECT pg_catalog.setval('public.blocked_words_id_seq', 1, true);

SELECT pg_catalog.setval('public.callback_addresses_id_seq', 1, true);

SELECT pg_catalog.setval('public.callback_batches_id_seq', 1, true);

SELECT pg_catalog.setval('public.callback_records_id_seq', 1, false);

SELECT pg_catalog.setval('public.channels_id_seq', 1, true);

SELECT pg_catalog.setval('public.deliveries_id_seq', 1, true);

SELECT pg_catalog.setval('public.drafts_id_seq', 1, false);

SELECT pg_catalog.setval('public.imports_id_seq', 1, false);

SELECT pg_catalog.setval('public.invitations_id_seq', 1, false);

SELECT pg_catalog.setval('public.lists_id_seq', 1, true);

SELECT pg_catalog.setval('public.materials_id_seq', 1, true);

SELECT pg_catalog.setval('public.messages_id_seq', 1, true);

SELECT pg_catalog.setval('public.one_time_secrets_id_seq', 1, false);

SELECT pg_catalog.setval('public.operators_id_seq', 1, true);

SELECT pg_catalog.setval('public.reply_rules_id_seq', 1, true);

SELECT pg_catalog.setval('public.sandbox_mails_id_seq', 1, false);

SELECT pg_catalog.setval('public.segments_id_seq', 1, true);

SELECT pg_catalog.setval('public.senders_id_seq', 1, true);

SELECT pg_catalog.setval('public.sessions_id_seq', 1, true);

SELECT pg_catalog.setval('public.strategies_id_seq', 1, true);

SELECT pg_catalog.setval('public.suppressions_id_seq', 1, false);

SELECT pg_catalog.setval('public.templates_id_seq', 1, true);

SELECT pg_catalog.setval('public.tokens_id_seq', 2, true);

SELECT pg_catalog.setval('public.user_search_id_seq', 2, true);

SELECT pg_catalog.setval('public.users_id_seq', 1, true);

ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);

ALTER TABLE ONLY public.access_keys
    ADD CONSTRAINT pk_access_keys PRIMARY KEY (id);

ALTER TABLE ONLY public.addresses
    ADD CONSTRAINT pk_addresses PRIMARY KEY (user_id, kind, bind_id, value);

ALTER TABLE ONLY public.attempts
    ADD CONSTRAINT pk_attempts PRIMARY KEY (id);

ALTER TABLE ONLY public.audit
    ADD CONSTRAINT pk_audit PRIMARY KEY (id);

ALTER TABLE ONLY public.blocked_words
    ADD CONSTRAINT pk_blocked_words PRIMARY KEY (id);

ALTER TABLE ONLY public.broadcast_usage
    ADD CONSTRAINT pk_broadcast_usage PRIMARY KEY (channel_id, day);

ALTER TABLE ONLY public.callback_addresses
    ADD CONSTRAINT pk_callback_addresses PRIMARY KEY (id);

ALTER TABLE ONLY public.callback_batches
    ADD CONSTRAINT pk_callback_batches PRIMARY KEY (id);

ALTER TABLE ONLY public.callback_records
    ADD CONSTRAINT pk_callback_records PRIMARY KEY (id);

ALTER TABLE ONLY public.cap_usage
    ADD CONSTRAINT pk_cap_usage PRIMARY KEY (sender_id, cap, window_start);

ALTER TABLE ONLY public.channel_senders
    ADD CONSTRAINT pk_channel_senders PRIMARY KEY (channel_id, sender_id);

ALTER TABLE ONLY public.channels
    ADD CONSTRAINT pk_channels PRIMARY KEY (id);

ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT pk_deliveries PRIMARY KEY (id);

ALTER TABLE ONLY public.domain_rates
    ADD CONSTRAINT pk_domain_rates PRIMARY KEY (sender_id, domain);

ALTER TABLE ONLY public.drafts
    ADD CONSTRAINT pk_drafts PRIMARY KEY (id);

ALTER TABLE ONLY public.feedback_reports
    ADD CONSTRAINT pk_feedback_reports PRIMARY KEY (delivery_id, digest);

ALTER TABLE ONLY public.files
    ADD CONSTRAINT pk_files PRIMARY KEY (message_id, "position");

ALTER TABLE ONLY public.frequency_cap_log
    ADD CONSTRAINT pk_frequency_cap_log PRIMARY KEY (channel_id, address, message_id);

ALTER TABLE ONLY public.full_mailboxes
    ADD CONSTRAINT pk_full_mailboxes PRIMARY KEY (channel_id, address);

ALTER TABLE ONLY public.idempotency
    ADD CONSTRAINT pk_idempotency PRIMARY KEY (channel_id, key);

ALTER TABLE ONLY public.idempotent_responses
    ADD CONSTRAINT pk_idempotent_responses PRIMARY KEY (caller, key);

ALTER TABLE ONLY public.import_batches
    ADD CONSTRAINT pk_import_batches PRIMARY KEY (import_id, number);

ALTER TABLE ONLY public.import_rejects
    ADD CONSTRAINT pk_import_rejects PRIMARY KEY (import_id, "row");

ALTER TABLE ONLY public.imports
    ADD CONSTRAINT pk_imports PRIMARY KEY (id);

ALTER TABLE ONLY public.invitations
    ADD CONSTRAINT pk_invitations PRIMARY KEY (id);

ALTER TABLE ONLY public.list_entries
    ADD CONSTRAINT pk_list_entries PRIMARY KEY (list_id, kind, value);

ALTER TABLE ONLY public.lists
    ADD CONSTRAINT pk_lists PRIMARY KEY (id);

ALTER TABLE ONLY public.mailboxes
    ADD CONSTRAINT pk_mailboxes PRIMARY KEY (sender_id);

ALTER TABLE ONLY public.material_chunks
    ADD CONSTRAINT pk_material_chunks PRIMARY KEY (material_id, "position");

ALTER TABLE ONLY public.materials
    ADD CONSTRAINT pk_materials PRIMARY KEY (id);

ALTER TABLE ONLY public.messages
    ADD CONSTRAINT pk_messages PRIMARY KEY (id);

ALTER TABLE ONLY public.meta
    ADD CONSTRAINT pk_meta PRIMARY KEY (name);

ALTER TABLE ONLY public.one_time_secrets
    ADD CONSTRAINT pk_one_time_secrets PRIMARY KEY (id);

ALTER TABLE ONLY public.operators
    ADD CONSTRAINT pk_operators PRIMARY KEY (id);

ALTER TABLE ONLY public.pending_halts
    ADD CONSTRAINT pk_pending_halts PRIMARY KEY (message_id);

ALTER TABLE ONLY public.reply_rules
    ADD CONSTRAINT pk_reply_rules PRIMARY KEY (id);

ALTER TABLE ONLY public.sandbox_mails
    ADD CONSTRAINT pk_sandbox_mails PRIMARY KEY (id);

ALTER TABLE ONLY public.segments
    ADD CONSTRAINT pk_segments PRIMARY KEY (id);

ALTER TABLE ONLY public.sender_outcomes
    ADD CONSTRAINT pk_sender_outcomes PRIMARY KEY (sender_id, slot);

ALTER TABLE ONLY public.senders
    ADD CONSTRAINT pk_senders PRIMARY KEY (id);

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT pk_sessions PRIMARY KEY (id);

ALTER TABLE ONLY public.strategies
    ADD CONSTRAINT pk_strategies PRIMARY KEY (id);

ALTER TABLE ONLY public.suppressions
    ADD CONSTRAINT pk_suppressions PRIMARY KEY (id);

ALTER TABLE ONLY public.tags
    ADD CONSTRAINT pk_tags PRIMARY KEY (user_id, bind_id, tag);

ALTER TABLE ONLY public.template_versions
    ADD CONSTRAINT pk_template_versions PRIMARY KEY (template_id, version);

ALTER TABLE ONLY public.templates
    ADD CONSTRAINT pk_templates PRIMARY KEY (id);

ALTER TABLE ONLY public.throttle
    ADD CONSTRAINT pk_throttle PRIMARY KEY (key);

ALTER TABLE ONLY public.tokens
    ADD CONSTRAINT pk_tokens PRIMARY KEY (id);

ALTER TABLE ONLY public.user_search
    ADD CONSTRAINT pk_user_search PRIMARY KEY (id);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT pk_users PRIMARY KEY (id);

ALTER TABLE ONLY public.worker_crashes
    ADD CONSTRAINT pk_worker_crashes PRIMARY KEY (delivery_id);

ALTER TABLE ONLY public.workers
    ADD CONSTRAINT pk_workers PRIMARY KEY (owner);

ALTER TABLE ONLY public.access_keys
    ADD CONSTRAINT uq_access_keys_key UNIQUE (key);

ALTER TABLE ONLY public.blocked_words
    ADD CONSTRAINT uq_blocked_words_channel_id_word UNIQUE (channel_id, word);

ALTER TABLE ONLY public.callback_batches
    ADD CONSTRAINT uq_callback_batches_webhook_id UNIQUE (webhook_id);

ALTER TABLE ONLY public.channels
    ADD CONSTRAINT uq_channels_key UNIQUE (key);

ALTER TABLE ONLY public.channels
    ADD CONSTRAINT uq_channels_name UNIQUE (name);

ALTER TABLE ONLY public.invitations
    ADD CONSTRAINT uq_invitations_digest UNIQUE (digest);

ALTER TABLE ONLY public.materials
    ADD CONSTRAINT uq_materials_token UNIQUE (token);

ALTER TABLE ONLY public.messages
    ADD CONSTRAINT uq_messages_msgid UNIQUE (msgid);

ALTER TABLE ONLY public.operators
    ADD CONSTRAINT uq_operators_name UNIQUE (name);

ALTER TABLE ONLY public.segments
    ADD CONSTRAINT uq_segments_name UNIQUE (name);

ALTER TABLE ONLY public.senders
    ADD CONSTRAINT uq_senders_code UNIQUE (code);

ALTER TABLE ONLY public.senders
    ADD CONSTRAINT uq_senders_name UNIQUE (name);

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT uq_sessions_digest UNIQUE (digest);

ALTER TABLE ONLY public.strategies
    ADD CONSTRAINT uq_strategies_channel_id_name UNIQUE (channel_id, name);

ALTER TABLE ONLY public.suppressions
    ADD CONSTRAINT uq_suppressions_channel_id_address UNIQUE (channel_id, address);

ALTER TABLE ONLY public.templates
    ADD CONSTRAINT uq_templates_channel_id_name UNIQUE (channel_id, name);

ALTER TABLE ONLY public.tokens
    ADD CONSTRAINT uq_tokens_digest UNIQUE (digest);

ALTER TABLE ONLY public.user_search
    ADD CONSTRAINT uq_user_search_user_id_bind_id UNIQUE (user_id, bind_id);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT uq_users_userid UNIQUE (userid);

CREATE INDEX ix_addresses_value ON public.addresses USING btree (value, user_id);

CREATE INDEX ix_attempts_delivery_id ON public.attempts USING btree (delivery_id);

CREATE INDEX ix_audit_unsealed ON public.audit USING btree (id) WHERE (seq IS NULL);

CREATE INDEX ix_callback_batches_address ON public.callback_batches USING btree (address_id, state, id);

CREATE INDEX ix_callback_batches_ended ON public.callback_batches USING btree (state, ended_at) WHERE ((state)::text = ANY ((ARRAY['done'::character varying, 'dead'::character varying])::text[]));

CREATE INDEX ix_callback_batches_open ON public.callback_batches USING btree (address_id, id) WHERE ((state)::text = ANY ((ARRAY['waiting'::character varying, 'claimed'::character varying])::text[]));

CREATE INDEX ix_callback_records_batch_id ON public.callback_records USING btree (batch_id) WHERE (batch_id IS NOT NULL);

CREATE INDEX ix_callback_records_delivery_id ON public.callback_records USING btree (delivery_id);

CREATE INDEX ix_callback_records_unbatched ON public.callback_records USING btree (address_id, id) WHERE (batch_id IS NULL);

CREATE INDEX ix_deliveries_due ON public.deliveries USING btree (sender_id, priority, due_at, id) WHERE ((state)::text = ANY ((ARRAY['queued'::character varying, 'deferred'::character varying])::text[]));

CREATE INDEX ix_deliveries_in_doubt ON public.deliveries USING btree (sender_id, updated_at) WHERE (((state)::text = 'unknown'::text) OR (((state)::text = ANY ((ARRAY['deferred'::character varying, 'paused'::character varying])::text[])) AND ((reason)::text = ANY ((ARRAY['unknown_outcome'::character varying, 'no_answer'::character varying])::text[]))));

CREATE INDEX ix_deliveries_message_state ON public.deliveries USING btree (message_id, state, id);

CREATE INDEX ix_deliveries_owner ON public.deliveries USING btree (owner) WHERE ((state)::text = ANY ((ARRAY['claimed'::character varying, 'at_dot'::character varying])::text[]));

CREATE INDEX ix_deliveries_userid ON public.deliveries USING btree (userid, id) WHERE ((userid)::text <> ''::text);

CREATE INDEX ix_drafts_operator_id ON public.drafts USING btree (operator_id);

CREATE INDEX ix_files_material_id ON public.files USING btree (material_id);

CREATE INDEX ix_frequency_cap_log_at ON public.frequency_cap_log USING btree (at);

CREATE INDEX ix_idempotency_created_at ON public.idempotency USING btree (created_at);

CREATE INDEX ix_idempotent_responses_created_at ON public.idempotent_responses USING btree (created_at);

CREATE INDEX ix_materials_expires_at ON public.materials USING btree (expires_at);

CREATE INDEX ix_messages_accepted_at ON public.messages USING btree (accepted_at);

CREATE INDEX ix_messages_channel ON public.messages USING btree (channel_id, id);

CREATE INDEX ix_messages_expires_at ON public.messages USING btree (expires_at);

CREATE INDEX ix_messages_paused_by_ums ON public.messages USING btree (id) WHERE ((halt_reason)::text <> ''::text);

CREATE INDEX ix_messages_unexpanded ON public.messages USING btree (id) WHERE ((state)::text <> 'expanded'::text);

CREATE INDEX ix_one_time_secrets_expires_at ON public.one_time_secrets USING btree (expires_at);

CREATE INDEX ix_one_time_secrets_operator_id ON public.one_time_secrets USING btree (operator_id);

CREATE UNIQUE INDEX ix_operators_name_key ON public.operators USING btree (name_key);

CREATE INDEX ix_sandbox_mails_channel_id ON public.sandbox_mails USING btree (channel_id);

CREATE INDEX ix_sessions_expires_at ON public.sessions USING btree (expires_at);

CREATE INDEX ix_sessions_operator_id ON public.sessions USING btree (operator_id);

CREATE INDEX ix_suppressions_channel ON public.suppressions USING btree (channel_id, id);

CREATE INDEX ix_suppressions_reply_pattern ON public.suppressions USING btree (channel_id, reply_pattern, created_at);

CREATE INDEX ix_tags_tag ON public.tags USING btree (bind_id, tag, user_id);

CREATE INDEX ix_throttle_at ON public.throttle USING btree (at);

CREATE INDEX ix_tokens_parent_id ON public.tokens USING btree (parent_id);

CREATE UNIQUE INDEX uq_audit_seq ON public.audit USING btree (seq);

CREATE UNIQUE INDEX uq_blocked_words_everywhere ON public.blocked_words USING btree (word) WHERE (channel_id IS NULL);

CREATE UNIQUE INDEX uq_callback_addresses_url ON public.callback_addresses USING btree (channel_id, url) WHERE ((state)::text <> 'deleted'::text);

CREATE UNIQUE INDEX uq_deliveries_message_address ON public.deliveries USING btree (message_id, address) WHERE ((state)::text <> 'invalid'::text);

CREATE UNIQUE INDEX uq_lists_name ON public.lists USING btree (channel_id, kind, name) WHERE (deleted_at IS NULL);

ALTER TABLE ONLY public.addresses
    ADD CONSTRAINT fk_addresses_user_id FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.attempts
    ADD CONSTRAINT fk_attempts_delivery_id FOREIGN KEY (delivery_id) REFERENCES public.deliveries(id);

ALTER TABLE ONLY public.attempts
    ADD CONSTRAINT fk_attempts_sender_id FOREIGN KEY (sender_id) REFERENCES public.senders(id);

ALTER TABLE ONLY public.blocked_words
    ADD CONSTRAINT fk_blocked_words_channel_id FOREIGN KEY (channel_id) REFERENCES public.channels(id);

ALTER TABLE ONLY public.broadcast_usage
    ADD CONSTRAINT fk_broadcast_usage_channel_id FOREIGN KEY (channel_id) REFERENCES public.channels(id);

ALTER TABLE ONLY public.callback_addresses
    ADD CONSTRAINT fk_callback_addresses_channel_id FOREIGN KEY (channel_id) REFERENCES public.channels(id);

ALTER TABLE ONLY public.callback_records
    ADD CONSTRAINT fk_callback_records_batch_id FOREIGN KEY (batch_id) REFERENCES public.callback_batches(id);

ALTER TABLE ONLY public.callback_records
    ADD CONSTRAINT fk_callback_records_delivery_id FOREIGN KEY (delivery_id) REFERENCES public.deliveries(id);

ALTER TABLE ONLY public.cap_usage
    ADD CONSTRAINT fk_cap_usage_sender_id FOREIGN KEY (sender_id) REFERENCES public.senders(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.channel_senders
    ADD CONSTRAINT fk_channel_senders_channel_id FOREIGN KEY (channel_id) REFERENCES public.channels(id);

ALTER TABLE ONLY public.channel_senders
    ADD CONSTRAINT fk_channel_senders_sender_id FOREIGN KEY (sender_id) REFERENCES public.senders(id);

ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT fk_deliveries_message_id FOREIGN KEY (message_id) REFERENCES public.messages(id);

ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT fk_deliveries_sender_id FOREIGN KEY (sender_id) REFERENCES public.senders(id);

ALTER TABLE ONLY public.domain_rates
    ADD CONSTRAINT fk_domain_rates_sender_id FOREIGN KEY (sender_id) REFERENCES public.senders(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.drafts
    ADD CONSTRAINT fk_drafts_channel_id FOREIGN KEY (channel_id) REFERENCES public.channels(id);

ALTER TABLE ONLY public.drafts
    ADD CONSTRAINT fk_drafts_operator_id FOREIGN KEY (operator_id) REFERENCES public.operators(id);

ALTER TABLE ONLY public.files
    ADD CONSTRAINT fk_files_material_id FOREIGN KEY (material_id) REFERENCES public.materials(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.files
    ADD CONSTRAINT fk_files_message_id FOREIGN KEY (message_id) REFERENCES public.messages(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.frequency_cap_log
    ADD CONSTRAINT fk_frequency_cap_log_channel_id FOREIGN KEY (channel_id) REFERENCES public.channels(id);

ALTER TABLE ONLY public.full_mailboxes
    ADD CONSTRAINT fk_full_mailboxes_channel_id FOREIGN KEY (channel_id) REFERENCES public.channels(id);

ALTER TABLE ONLY public.idempotency
    ADD CONSTRAINT fk_idempotency_channel_id FOREIGN KEY (channel_id) REFERENCES public.channels(id);

ALTER TABLE ONLY public.import_batches
    ADD CONSTRAINT fk_import_batches_import_id FOREIGN KEY (import_id) REFERENCES public.imports(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.import_rejects
    ADD CONSTRAINT fk_import_rejects_import_id FOREIGN KEY (import_id) REFERENCES public.imports(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.list_entries
    ADD CONSTRAINT fk_list_entries_list_id FOREIGN KEY (list_id) REFERENCES public.lists(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.lists
    ADD CONSTRAINT fk_lists_channel_id FOREIGN KEY (channel_id) REFERENCES public.channels(id);

ALTER TABLE ONLY public.mailboxes
    ADD CONSTRAINT fk_mailboxes_sender_id FOREIGN KEY (sender_id) REFERENCES public.senders(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.material_chunks
    ADD CONSTRAINT fk_material_chunks_material_id FOREIGN KEY (material_id) REFERENCES public.materials(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.materials
    ADD CONSTRAINT fk_materials_channel_id FOREIGN KEY (channel_id) REFERENCES public.channels(id);

ALTER TABLE ONLY public.messages
    ADD CONSTRAINT fk_messages_channel_id FOREIGN KEY (channel_id) REFERENCES public.channels(id);

ALTER TABLE ONLY public.messages
    ADD CONSTRAINT fk_messages_sender_id FOREIGN KEY (sender_id) REFERENCES public.senders(id);

ALTER TABLE ONLY public.one_time_secrets
    ADD CONSTRAINT fk_one_time_secrets_operator_id FOREIGN KEY (operator_id) REFERENCES public.operators(id);

ALTER TABLE ONLY public.pending_halts
    ADD CONSTRAINT fk_pending_halts_message_id FOREIGN KEY (message_id) REFERENCES public.messages(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.sender_outcomes
    ADD CONSTRAINT fk_sender_outcomes_sender_id FOREIGN KEY (sender_id) REFERENCES public.senders(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT fk_sessions_operator_id FOREIGN KEY (operator_id) REFERENCES public.operators(id);

ALTER TABLE ONLY public.strategies
    ADD CONSTRAINT fk_strategies_channel_id FOREIGN KEY (channel_id) REFERENCES public.channels(id);

ALTER TABLE ONLY public.suppressions
    ADD CONSTRAINT fk_suppressions_channel_id FOREIGN KEY (channel_id) REFERENCES public.channels(id);

ALTER TABLE ONLY public.tags
    ADD CONSTRAINT fk_tags_user_id FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.template_versions
    ADD CONSTRAINT fk_template_versions_template_id FOREIGN KEY (template_id) REFERENCES public.templates(id);

ALTER TABLE ONLY public.templates
    ADD CONSTRAINT fk_templates_channel_id FOREIGN KEY (channel_id) REFERENCES public.channels(id);

ALTER TABLE ONLY public.user_search
    ADD CONSTRAINT fk_user_search_user_id FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

DO $$ BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;
    CREATE INDEX ix_user_search_text ON public.user_search USING gin (text public.gin_trgm_ops);
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'pg_trgm is missing';
END $$;
