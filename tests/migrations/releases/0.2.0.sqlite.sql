CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO alembic_version VALUES ('0100');
CREATE TABLE access_keys (
	id INTEGER NOT NULL, 
	"key" VARCHAR(32) NOT NULL, 
	secret TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_access_keys PRIMARY KEY (id), 
	CONSTRAINT uq_access_keys_key UNIQUE ("key")
);
CREATE TABLE audit (
	id INTEGER NOT NULL, 
	at BIGINT NOT NULL, 
	actor VARCHAR(60) NOT NULL, 
	action VARCHAR(60) NOT NULL, 
	subject VARCHAR(120) NOT NULL, 
	detail TEXT NOT NULL, 
	address VARCHAR(45) DEFAULT '' NOT NULL, 
	"before" TEXT, 
	"after" TEXT, 
	times INTEGER DEFAULT '1' NOT NULL, 
	seq BIGINT, 
	hash VARCHAR(64), 
	CONSTRAINT pk_audit PRIMARY KEY (id)
);
INSERT INTO audit VALUES (1, 1796065517569, 'local', 'channel.create', '7e5b4359e96fb618217f2779', '', '', NULL, '{"name":"channel 1","open":true,"zone":"UTC"}', 1, NULL, NULL);
INSERT INTO audit VALUES (2, 1796065517596, 'local', 'channel.rules', '7e5b4359e96fb618217f2779', '', '', '{"broadcasts_per_day":10,"requests_per_second":100}', '{"broadcasts_per_day":0,"requests_per_second":0}', 1, NULL, NULL);
INSERT INTO audit VALUES (3, 1796065517690, 'local', 'sender.create', 'sender2', '127.0.0.1:46393 none port approved', '', NULL, '{"host":"127.0.0.1","port":46393,"encryption":"none","account":"","from_address":"ums@sender.example","from_name":"","name":"sender2","open":true,"urgent_reserve_percent":10,"caps":[],"password":""}', 1, NULL, NULL);
INSERT INTO audit VALUES (4, 1796065517740, 'local', 'token.create', '1', 'test 3: admin', '', NULL, '{"name":"test 3","scopes":["admin"],"channels":null,"expires_at":null}', 1, NULL, NULL);
INSERT INTO audit VALUES (5, 1796065517789, 'channel:7e5b4359e96fb618217f2779', 'user.put', 'someone1', '', '127.0.0.1', NULL, '{"email 7e5b4359e96fb618217f2779":["a7e5b4359e96fb618217f2779@private.example"]}', 1, NULL, NULL);
INSERT INTO audit VALUES (6, 1796065518336, 'channel:7e5b4359e96fb618217f2779', 'delivery.list', 'channel:7e5b4359e96fb618217f2779', '', '127.0.0.1', NULL, '{"given":1}', 1, NULL, NULL);
INSERT INTO audit VALUES (7, 1796065547115, 'token:1:test 3', 'operator.create', 'op7e5b4359e96fb618217f2779', 'viewer', '127.0.0.1', NULL, '{"role":"viewer","disabled":false,"channels":null,"must_change_password":false}', 1, NULL, NULL);
INSERT INTO audit VALUES (8, 1796065547440, 'token:1:test 3', 'token.create', '2', 'theirs: admin', '127.0.0.1', NULL, '{"name":"theirs","scopes":["admin"],"channels":["7e5b4359e96fb618217f2779"],"expires_at":null}', 1, NULL, NULL);
INSERT INTO audit VALUES (9, 1796065547486, 'local', 'material.upload', '1', '', '', NULL, '{"name":"theirs.txt","size":6,"hours":24}', 1, NULL, NULL);
INSERT INTO audit VALUES (10, 1796065549222, 'token:1:test 3', 'template.create', '1', 'of 7e5b4359e96fb618217f2779', '127.0.0.1', NULL, '{"version":1,"name":"of 7e5b4359e96fb618217f2779","subject":"s","html":null,"text":"t","mjml":null,"defaults":{}}', 1, NULL, NULL);
INSERT INTO audit VALUES (11, 1796065549257, 'token:1:test 3', 'blocklist.create', '7e5b4359e96fb618217f2779 1', 'of 7e5b4359e96fb618217f2779', '127.0.0.1', NULL, '{"name":"of 7e5b4359e96fb618217f2779"}', 1, NULL, NULL);
INSERT INTO audit VALUES (12, 1796065549310, 'token:1:test 3', 'strategy.create', '7e5b4359e96fb618217f2779 1', 'of 7e5b4359e96fb618217f2779', '127.0.0.1', NULL, '{"steps":[{"type":"email","wait":0,"condition":null}],"valid":true}', 1, NULL, NULL);
INSERT INTO audit VALUES (13, 1796065549346, 'token:1:test 3', 'word.add', '7e5b4359e96fb618217f2779', 'of 7e5b4359e96fb618217f2779', '127.0.0.1', NULL, '{"word":"of 7e5b4359e96fb618217f2779","exempt":false}', 1, NULL, NULL);
INSERT INTO audit VALUES (14, 1796065549384, 'token:1:test 3', 'segment.create', '1', 'segment 2', '127.0.0.1', NULL, '{"name":"segment 2","conditions":"{}"}', 1, NULL, NULL);
INSERT INTO audit VALUES (15, 1796065549415, 'token:1:test 3', 'reply_rule.create', '1', 'of 7e5b4359e96fb618217f2779: rate', '127.0.0.1', NULL, '{"text":"of 7e5b4359e96fb618217f2779","code":"","reason":"rate"}', 1, NULL, NULL);
CREATE TABLE callback_batches (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	address_id INTEGER NOT NULL, 
	webhook_id VARCHAR(40) NOT NULL, 
	state VARCHAR(10) NOT NULL, 
	owner VARCHAR(40), 
	size INTEGER NOT NULL, 
	first_at BIGINT NOT NULL, 
	last_at BIGINT NOT NULL, 
	due_at BIGINT NOT NULL, 
	tries INTEGER DEFAULT '0' NOT NULL, 
	last_status SMALLINT DEFAULT '0' NOT NULL, 
	last_error TEXT DEFAULT '' NOT NULL, 
	created_at BIGINT NOT NULL, 
	ended_at BIGINT, 
	CONSTRAINT uq_callback_batches_webhook_id UNIQUE (webhook_id)
);
INSERT INTO callback_batches VALUES (1, 1, 'of 7e5b4359e96fb618217f2779', 'dead', NULL, 0, 1796065549435, 1796065549435, 1796065549435, 0, 0, '', 1796065549435, 1796065549435);
CREATE TABLE channels (
	id INTEGER NOT NULL, 
	name VARCHAR(30) NOT NULL, 
	"key" VARCHAR(32) NOT NULL, 
	secret TEXT NOT NULL, 
	old_secret TEXT, 
	old_secret_until BIGINT, 
	open BOOLEAN NOT NULL, 
	rules TEXT DEFAULT '{}' NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_channels PRIMARY KEY (id), 
	CONSTRAINT uq_channels_key UNIQUE ("key"), 
	CONSTRAINT uq_channels_name UNIQUE (name)
);
INSERT INTO channels VALUES (1, 'channel 1', '7e5b4359e96fb618217f2779', 'v2:c1264c1e0b48:+jrE0lkRFnbnwNzgqKvs/CXelFrwFfwEE4VZsGu0GqNmuLpaVhDaHE07L6nh8er/Z3DeNA==', NULL, NULL, 1, '{"broadcasts_per_day":0,"requests_per_second":0}', 1796065517515);
CREATE TABLE feedback_reports (
	delivery_id BIGINT NOT NULL, 
	digest VARCHAR(32) NOT NULL, 
	at BIGINT NOT NULL, 
	CONSTRAINT pk_feedback_reports PRIMARY KEY (delivery_id, digest)
);
CREATE TABLE idempotent_responses (
	caller VARCHAR(60) NOT NULL, 
	"key" VARCHAR(255) NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	response TEXT, 
	until BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_idempotent_responses PRIMARY KEY (caller, "key")
);
CREATE TABLE imports (
	id INTEGER NOT NULL, 
	file TEXT NOT NULL, 
	name TEXT NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	bind_id VARCHAR(32) NOT NULL, 
	state VARCHAR(12) NOT NULL, 
	detail TEXT NOT NULL, 
	cursor INTEGER NOT NULL, 
	size INTEGER NOT NULL, 
	added INTEGER NOT NULL, 
	changed INTEGER NOT NULL, 
	unchanged INTEGER NOT NULL, 
	rejected INTEGER NOT NULL, 
	mapping TEXT, 
	sheet TEXT, 
	header TEXT, 
	header_row INTEGER, 
	undone INTEGER DEFAULT '0' NOT NULL, 
	kept INTEGER DEFAULT '0' NOT NULL, 
	owner VARCHAR(40), 
	created_at BIGINT NOT NULL, 
	started_at BIGINT, 
	finished_at BIGINT, 
	dismissed_at BIGINT, 
	CONSTRAINT pk_imports PRIMARY KEY (id)
);
CREATE TABLE invitations (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	digest VARCHAR(64) NOT NULL, 
	role VARCHAR(20) NOT NULL, 
	channels TEXT, 
	created_by VARCHAR(60) NOT NULL, 
	operator_id INTEGER, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	used_by VARCHAR(60), 
	used_at BIGINT, 
	CONSTRAINT uq_invitations_digest UNIQUE (digest)
);
CREATE TABLE meta (
	name VARCHAR(40) NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT pk_meta PRIMARY KEY (name)
);
INSERT INTO meta VALUES ('instance', '7614a998bb6eccfe');
INSERT INTO meta VALUES ('seen_at', '1796065517595');
INSERT INTO meta VALUES ('directory_revision', '5');
CREATE TABLE operators (
	id INTEGER NOT NULL, 
	name VARCHAR(60) NOT NULL, 
	name_key VARCHAR(64) DEFAULT '' NOT NULL, 
	password_hash TEXT NOT NULL, 
	role VARCHAR(20) NOT NULL, 
	disabled BOOLEAN DEFAULT 0 NOT NULL, 
	channels TEXT, 
	must_change_password BOOLEAN DEFAULT 0 NOT NULL, 
	totp TEXT, 
	totp_step INTEGER, 
	recovery TEXT, 
	zone VARCHAR(60), 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_operators PRIMARY KEY (id), 
	CONSTRAINT uq_operators_name UNIQUE (name)
);
INSERT INTO operators VALUES (1, 'op7e5b4359e96fb618217f2779', '41a002b0622e6c21b54aa11103a963daa732168baaf6297efeb5d9409c3f4a2d', '$argon2id$v=19$m=65536,t=3,p=4$cM/K5/eX6DIel22qCCl4lQ$ulwzs22Shs2FVMUTJNkYKajR0hb5Aln/+fvK87XH7pM', 'viewer', 0, NULL, 0, NULL, NULL, NULL, NULL, 1796065546956);
CREATE TABLE reply_rules (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	text VARCHAR(200) NOT NULL, 
	code VARCHAR(3) NOT NULL, 
	reason VARCHAR(40) NOT NULL, 
	created_at BIGINT NOT NULL
);
INSERT INTO reply_rules VALUES (1, 'of 7e5b4359e96fb618217f2779', '', 'rate', 1796065549412);
CREATE TABLE sandbox_mails (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	received_at BIGINT NOT NULL, 
	mail_from TEXT NOT NULL, 
	rcpt_to TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	size INTEGER NOT NULL, 
	source BLOB NOT NULL, 
	channel_id INTEGER
);
CREATE TABLE segments (
	id INTEGER NOT NULL, 
	name VARCHAR(60) NOT NULL, 
	conditions TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_segments PRIMARY KEY (id), 
	CONSTRAINT uq_segments_name UNIQUE (name)
);
INSERT INTO segments VALUES (1, 'segment 2', '{}', 1796065549380);
CREATE TABLE senders (
	id INTEGER NOT NULL, 
	code VARCHAR(30) NOT NULL, 
	name VARCHAR(30) NOT NULL, 
	type VARCHAR(20) NOT NULL, 
	settings TEXT NOT NULL, 
	secret TEXT, 
	open BOOLEAN NOT NULL, 
	cooldown_until BIGINT, 
	cooldown_reason VARCHAR(60), 
	cooldown_detail TEXT, 
	failures INTEGER DEFAULT '0' NOT NULL, 
	caps TEXT DEFAULT '[]' NOT NULL, 
	urgent_reserve_percent SMALLINT DEFAULT '10' NOT NULL, 
	cap_reached_until BIGINT, 
	urgent_cap_reached_until BIGINT, 
	session_limit INTEGER, 
	session_limit_until BIGINT, 
	warm_up TEXT, 
	warm_up_count INTEGER DEFAULT '0' NOT NULL, 
	warm_up_day_ends_at BIGINT, 
	warm_up_frozen BOOLEAN DEFAULT 0 NOT NULL, 
	throttled_until BIGINT, 
	suspended_at BIGINT, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_senders PRIMARY KEY (id), 
	CONSTRAINT uq_senders_code UNIQUE (code), 
	CONSTRAINT uq_senders_name UNIQUE (name)
);
INSERT INTO senders VALUES (1, 'sender2', 'sender2', 'email', '{"host":"127.0.0.1","port":46393,"encryption":"none","account":"","from_address":"ums@sender.example","from_name":""}', 'v2:c1264c1e0b48:arFwy3yTmi3ObCJgfANqLV55UA4NSFuqXgLAHg==', 1, NULL, NULL, NULL, 0, '[]', 10, NULL, NULL, NULL, NULL, NULL, 0, NULL, 0, NULL, NULL, 1796065517633);
CREATE TABLE throttle (
	"key" VARCHAR(50) NOT NULL, 
	count INTEGER NOT NULL, 
	at BIGINT NOT NULL, 
	until BIGINT NOT NULL, 
	CONSTRAINT pk_throttle PRIMARY KEY ("key")
);
CREATE TABLE tokens (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name VARCHAR(40) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	hint VARCHAR(8) NOT NULL, 
	scopes TEXT NOT NULL, 
	channels TEXT NOT NULL, 
	created_by VARCHAR(60) NOT NULL, 
	parent_id INTEGER, 
	operator_id INTEGER, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT, 
	last_used_at BIGINT, 
	revoked_at BIGINT, 
	CONSTRAINT uq_tokens_digest UNIQUE (digest)
);
INSERT INTO tokens VALUES (1, 'test 3', '54f7d5b7d9a27c5793315f246fad9441a9e09190cb363a395c10ddac547c8e13', 'UuJE', '["admin"]', 'null', 'local', NULL, NULL, 1796065517728, NULL, 1796065518536, NULL);
INSERT INTO tokens VALUES (2, 'theirs', '75983e269503581d5fd35261dbb46259d3c81e404b6cdae275d54bd846e259d8', '5tkY', '["admin"]', '[1]', 'token:1:test 3', 1, NULL, 1796065547433, NULL, NULL, NULL);
CREATE TABLE users (
	id INTEGER NOT NULL, 
	userid VARCHAR(64) NOT NULL, 
	attributes JSON NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	CONSTRAINT pk_users PRIMARY KEY (id), 
	CONSTRAINT uq_users_userid UNIQUE (userid)
);
INSERT INTO users VALUES (1, 'someone1', '{}', 1796065517783, 1796065517783);
CREATE TABLE worker_crashes (
	delivery_id BIGINT NOT NULL, 
	count INTEGER NOT NULL, 
	at BIGINT NOT NULL, 
	CONSTRAINT pk_worker_crashes PRIMARY KEY (delivery_id)
);
CREATE TABLE workers (
	owner VARCHAR(40) NOT NULL, 
	started_at BIGINT NOT NULL, 
	lease_until BIGINT NOT NULL, 
	CONSTRAINT pk_workers PRIMARY KEY (owner)
);
CREATE TABLE addresses (
	user_id INTEGER NOT NULL, 
	kind VARCHAR(20) NOT NULL, 
	bind_id VARCHAR(32) NOT NULL, 
	value VARCHAR(254) NOT NULL, 
	CONSTRAINT pk_addresses PRIMARY KEY (user_id, kind, bind_id, value), 
	CONSTRAINT fk_addresses_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
INSERT INTO addresses VALUES (1, 'email', '7e5b4359e96fb618217f2779', 'a7e5b4359e96fb618217f2779@private.example');
CREATE TABLE blocked_words (
	id INTEGER NOT NULL, 
	word VARCHAR(100) NOT NULL, 
	channel_id INTEGER, 
	exempt BOOLEAN DEFAULT 0 NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_blocked_words PRIMARY KEY (id), 
	CONSTRAINT fk_blocked_words_channel_id FOREIGN KEY(channel_id) REFERENCES channels (id), 
	CONSTRAINT uq_blocked_words_channel_id_word UNIQUE (channel_id, word)
);
INSERT INTO blocked_words VALUES (1, 'of 7e5b4359e96fb618217f2779', 1, 0, 1796065549332);
CREATE TABLE broadcast_usage (
	channel_id INTEGER NOT NULL, 
	day VARCHAR(10) NOT NULL, 
	broadcasts INTEGER NOT NULL, 
	CONSTRAINT pk_broadcast_usage PRIMARY KEY (channel_id, day), 
	CONSTRAINT fk_broadcast_usage_channel_id FOREIGN KEY(channel_id) REFERENCES channels (id)
);
CREATE TABLE callback_addresses (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	channel_id INTEGER NOT NULL, 
	url TEXT NOT NULL, 
	is_default BOOLEAN NOT NULL, 
	schedule VARCHAR(10) NOT NULL, 
	form VARCHAR(10) DEFAULT 'signed' NOT NULL, 
	username TEXT DEFAULT '' NOT NULL, 
	password TEXT, 
	secret TEXT NOT NULL, 
	old_secret TEXT, 
	old_secret_until BIGINT, 
	state VARCHAR(10) NOT NULL, 
	state_changed_at BIGINT NOT NULL, 
	failing_since BIGINT, 
	failures INTEGER DEFAULT '0' NOT NULL, 
	cooldown_until BIGINT, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT fk_callback_addresses_channel_id FOREIGN KEY(channel_id) REFERENCES channels (id)
);
INSERT INTO callback_addresses VALUES (1, 1, 'https://7e5b4359e96fb618217f2779.private.example/told', 1, 'hosted', 'signed', '', NULL, 'v2:c1264c1e0b48:iPkUdslof/IweY0+5oGBacfGzVN35nL9KsrvMOxjmIQLbb57bzCjxwZsfX9PybXs7QNIQJffvc9ixWQQdysWws3yBCaQRQbStqjDNLB+', NULL, NULL, 'verified', 1796065549435, NULL, 0, NULL, 1796065549435);
CREATE TABLE cap_usage (
	sender_id INTEGER NOT NULL, 
	cap VARCHAR(80) NOT NULL, 
	window_start BIGINT NOT NULL, 
	used INTEGER NOT NULL, 
	CONSTRAINT pk_cap_usage PRIMARY KEY (sender_id, cap, window_start), 
	CONSTRAINT fk_cap_usage_sender_id FOREIGN KEY(sender_id) REFERENCES senders (id) ON DELETE CASCADE
);
CREATE TABLE channel_senders (
	channel_id INTEGER NOT NULL, 
	sender_id INTEGER NOT NULL, 
	is_default BOOLEAN NOT NULL, 
	rank SMALLINT DEFAULT '0' NOT NULL, 
	weight SMALLINT DEFAULT '1' NOT NULL, 
	CONSTRAINT pk_channel_senders PRIMARY KEY (channel_id, sender_id), 
	CONSTRAINT fk_channel_senders_channel_id FOREIGN KEY(channel_id) REFERENCES channels (id), 
	CONSTRAINT fk_channel_senders_sender_id FOREIGN KEY(sender_id) REFERENCES senders (id)
);
INSERT INTO channel_senders VALUES (1, 1, 1, 0, 1);
CREATE TABLE domain_rates (
	sender_id INTEGER NOT NULL, 
	domain VARCHAR(255) NOT NULL, 
	per_minute INTEGER NOT NULL, 
	resume_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	CONSTRAINT pk_domain_rates PRIMARY KEY (sender_id, domain), 
	CONSTRAINT fk_domain_rates_sender_id FOREIGN KEY(sender_id) REFERENCES senders (id) ON DELETE CASCADE
);
CREATE TABLE drafts (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	operator_id INTEGER NOT NULL, 
	channel_id INTEGER NOT NULL, 
	content TEXT NOT NULL, 
	form TEXT, 
	updated_at BIGINT NOT NULL, 
	msgid VARCHAR(80), 
	CONSTRAINT fk_drafts_channel_id FOREIGN KEY(channel_id) REFERENCES channels (id), 
	CONSTRAINT fk_drafts_operator_id FOREIGN KEY(operator_id) REFERENCES operators (id)
);
CREATE TABLE frequency_cap_log (
	channel_id INTEGER NOT NULL, 
	address VARCHAR(254) NOT NULL, 
	message_id INTEGER NOT NULL, 
	at BIGINT NOT NULL, 
	CONSTRAINT pk_frequency_cap_log PRIMARY KEY (channel_id, address, message_id), 
	CONSTRAINT fk_frequency_cap_log_channel_id FOREIGN KEY(channel_id) REFERENCES channels (id)
);
CREATE TABLE full_mailboxes (
	channel_id INTEGER NOT NULL, 
	address VARCHAR(254) NOT NULL, 
	count INTEGER NOT NULL, 
	first_at BIGINT NOT NULL, 
	last_at BIGINT NOT NULL, 
	message_id INTEGER NOT NULL, 
	CONSTRAINT pk_full_mailboxes PRIMARY KEY (channel_id, address), 
	CONSTRAINT fk_full_mailboxes_channel_id FOREIGN KEY(channel_id) REFERENCES channels (id)
);
CREATE TABLE idempotency (
	channel_id INTEGER NOT NULL, 
	"key" VARCHAR(255) NOT NULL, 
	body_hash VARCHAR(64) NOT NULL, 
	msgid VARCHAR(80) NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_idempotency PRIMARY KEY (channel_id, "key"), 
	CONSTRAINT fk_idempotency_channel_id FOREIGN KEY(channel_id) REFERENCES channels (id)
);
CREATE TABLE import_batches (
	import_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	changes TEXT NOT NULL, 
	CONSTRAINT pk_import_batches PRIMARY KEY (import_id, number), 
	CONSTRAINT fk_import_batches_import_id FOREIGN KEY(import_id) REFERENCES imports (id) ON DELETE CASCADE
);
CREATE TABLE import_rejects (
	import_id INTEGER NOT NULL, 
	"row" INTEGER NOT NULL, 
	cells TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	CONSTRAINT pk_import_rejects PRIMARY KEY (import_id, "row"), 
	CONSTRAINT fk_import_rejects_import_id FOREIGN KEY(import_id) REFERENCES imports (id) ON DELETE CASCADE
);
CREATE TABLE lists (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	channel_id INTEGER NOT NULL, 
	kind VARCHAR(10) NOT NULL, 
	name VARCHAR(60) NOT NULL, 
	created_at BIGINT NOT NULL, 
	deleted_at BIGINT, 
	CONSTRAINT fk_lists_channel_id FOREIGN KEY(channel_id) REFERENCES channels (id)
);
INSERT INTO lists VALUES (1, 1, 'block', 'of 7e5b4359e96fb618217f2779', 1796065549254, NULL);
CREATE TABLE mailboxes (
	sender_id INTEGER NOT NULL, 
	settings TEXT NOT NULL, 
	secret TEXT NOT NULL, 
	uidvalidity INTEGER DEFAULT '0' NOT NULL, 
	uid INTEGER DEFAULT '0' NOT NULL, 
	found_sent_folder TEXT DEFAULT '' NOT NULL, 
	polled_at BIGINT, 
	next_poll_at BIGINT NOT NULL, 
	failures INTEGER DEFAULT '0' NOT NULL, 
	problem VARCHAR(60) DEFAULT '' NOT NULL, 
	problem_detail TEXT DEFAULT '' NOT NULL, 
	arrived INTEGER DEFAULT '0' NOT NULL, 
	bounced INTEGER DEFAULT '0' NOT NULL, 
	complained INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_mailboxes PRIMARY KEY (sender_id), 
	CONSTRAINT fk_mailboxes_sender_id FOREIGN KEY(sender_id) REFERENCES senders (id) ON DELETE CASCADE
);
CREATE TABLE materials (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	token VARCHAR(43) NOT NULL, 
	channel_id INTEGER, 
	name TEXT NOT NULL, 
	content_type TEXT NOT NULL, 
	size BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	stored_at BIGINT, 
	expires_at BIGINT NOT NULL, 
	CONSTRAINT fk_materials_channel_id FOREIGN KEY(channel_id) REFERENCES channels (id), 
	CONSTRAINT uq_materials_token UNIQUE (token)
);
INSERT INTO materials VALUES (1, '9IGuinap6HXVGaQiM96HnvIos9aTCeJNckLEA9vNbxw', 1, 'theirs.txt', 'text/plain', 6, 1796065547457, 1796065547454, 1796151947454);
CREATE TABLE messages (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	msgid VARCHAR(80) NOT NULL, 
	channel_id INTEGER NOT NULL, 
	sender_id INTEGER NOT NULL, 
	audience TEXT NOT NULL, 
	content TEXT NOT NULL, 
	options TEXT NOT NULL, 
	asker_id INTEGER, 
	owner_id INTEGER, 
	approved_by VARCHAR(60) DEFAULT '' NOT NULL, 
	broadcast BOOLEAN DEFAULT 0 NOT NULL, 
	origin VARCHAR(10) DEFAULT 'v1' NOT NULL, 
	requested_by VARCHAR(60) DEFAULT '' NOT NULL, 
	requested_from VARCHAR(45) DEFAULT '' NOT NULL, 
	template_id INTEGER, 
	template_version INTEGER, 
	black_id INTEGER, 
	white_id INTEGER, 
	callback_id INTEGER, 
	event_mask INTEGER DEFAULT '0' NOT NULL, 
	priority SMALLINT NOT NULL, 
	failover_allowed BOOLEAN DEFAULT 0 NOT NULL, 
	on_unknown VARCHAR(10) NOT NULL, 
	state VARCHAR(12) NOT NULL, 
	halt VARCHAR(12) DEFAULT '' NOT NULL, 
	halted_at BIGINT, 
	halt_reason VARCHAR(12) DEFAULT '' NOT NULL, 
	halt_detail TEXT DEFAULT '' NOT NULL, 
	starts_at BIGINT DEFAULT '0' NOT NULL, 
	cursor BIGINT NOT NULL, 
	"plan" TEXT, 
	audience_size BIGINT NOT NULL, 
	accepted_at BIGINT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	CONSTRAINT fk_messages_channel_id FOREIGN KEY(channel_id) REFERENCES channels (id), 
	CONSTRAINT fk_messages_sender_id FOREIGN KEY(sender_id) REFERENCES senders (id), 
	CONSTRAINT uq_messages_msgid UNIQUE (msgid)
);
INSERT INTO messages VALUES (1, 'v:1t:1796065517p:907112777n:1', 1, 1, '{"userids":["someone1"]}', '{"subject":"s","text":"t"}', '{}', NULL, NULL, '', 0, 'v1', 'channel:7e5b4359e96fb618217f2779', '127.0.0.1', NULL, NULL, NULL, NULL, NULL, 0, 2, 1, 'resend', 'expanded', '', NULL, '', '', 0, 0, NULL, 1, 1796065517819, 1796151917819);
CREATE TABLE one_time_secrets (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	operator_id INTEGER NOT NULL, 
	kind VARCHAR(20) NOT NULL, 
	sealed TEXT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	CONSTRAINT fk_one_time_secrets_operator_id FOREIGN KEY(operator_id) REFERENCES operators (id)
);
CREATE TABLE sender_outcomes (
	sender_id INTEGER NOT NULL, 
	slot BIGINT NOT NULL, 
	total INTEGER NOT NULL, 
	bounced INTEGER NOT NULL, 
	unknown INTEGER NOT NULL, 
	complained INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_sender_outcomes PRIMARY KEY (sender_id, slot), 
	CONSTRAINT fk_sender_outcomes_sender_id FOREIGN KEY(sender_id) REFERENCES senders (id) ON DELETE CASCADE
);
INSERT INTO sender_outcomes VALUES (1, 1796065510000, 1, 0, 0, 0);
CREATE TABLE sessions (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	digest VARCHAR(64) NOT NULL, 
	operator_id INTEGER NOT NULL, 
	address VARCHAR(45) NOT NULL, 
	user_agent VARCHAR(200) NOT NULL, 
	created_at BIGINT NOT NULL, 
	last_seen_at BIGINT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	authenticated_at BIGINT DEFAULT '0' NOT NULL, 
	CONSTRAINT fk_sessions_operator_id FOREIGN KEY(operator_id) REFERENCES operators (id), 
	CONSTRAINT uq_sessions_digest UNIQUE (digest)
);
INSERT INTO sessions VALUES (1, '4d02249f47f3e35a108ed017401bead11a6a49fbbf7b2b0ccc857eb76ca6c3a0', 1, '127.0.0.1', '', 1796065547392, 1796065547392, 1797275147392, 1796065547392);
CREATE TABLE strategies (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	channel_id INTEGER NOT NULL, 
	name VARCHAR(60) NOT NULL, 
	steps TEXT NOT NULL, 
	valid BOOLEAN DEFAULT 1 NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT fk_strategies_channel_id FOREIGN KEY(channel_id) REFERENCES channels (id), 
	CONSTRAINT uq_strategies_channel_id_name UNIQUE (channel_id, name)
);
INSERT INTO strategies VALUES (1, 1, 'of 7e5b4359e96fb618217f2779', '[{"type":"email"}]', 1, 1796065549293);
CREATE TABLE suppressions (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	channel_id INTEGER NOT NULL, 
	address VARCHAR(254) NOT NULL, 
	reason VARCHAR(40) NOT NULL, 
	reply TEXT NOT NULL, 
	reply_pattern VARCHAR(160) NOT NULL, 
	delivery_id INTEGER, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT, 
	CONSTRAINT fk_suppressions_channel_id FOREIGN KEY(channel_id) REFERENCES channels (id), 
	CONSTRAINT uq_suppressions_channel_id_address UNIQUE (channel_id, address)
);
CREATE TABLE tags (
	user_id INTEGER NOT NULL, 
	bind_id VARCHAR(32) NOT NULL, 
	tag VARCHAR(40) NOT NULL, 
	CONSTRAINT pk_tags PRIMARY KEY (user_id, bind_id, tag), 
	CONSTRAINT fk_tags_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE TABLE templates (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	channel_id INTEGER NOT NULL, 
	name VARCHAR(60) NOT NULL, 
	open BOOLEAN NOT NULL, 
	listed BOOLEAN DEFAULT 1 NOT NULL, 
	version INTEGER NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	CONSTRAINT fk_templates_channel_id FOREIGN KEY(channel_id) REFERENCES channels (id), 
	CONSTRAINT uq_templates_channel_id_name UNIQUE (channel_id, name)
);
INSERT INTO templates VALUES (1, 1, 'of 7e5b4359e96fb618217f2779', 1, 1, 1, 1796065549209, 1796065549209);
CREATE TABLE user_search (
	id INTEGER NOT NULL, 
	user_id INTEGER NOT NULL, 
	bind_id VARCHAR(32) NOT NULL, 
	text TEXT NOT NULL, 
	CONSTRAINT pk_user_search PRIMARY KEY (id), 
	CONSTRAINT fk_user_search_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE, 
	CONSTRAINT uq_user_search_user_id_bind_id UNIQUE (user_id, bind_id)
);
INSERT INTO user_search VALUES (1, 1, '7e5b4359e96fb618217f2779', 'a7e5b4359e96fb618217f2779@private.example

');
INSERT INTO user_search VALUES (2, 1, 'all', 'someone1

');
CREATE TABLE deliveries (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	message_id INTEGER NOT NULL, 
	sender_id INTEGER NOT NULL, 
	userid VARCHAR(64) NOT NULL, 
	address VARCHAR(254) NOT NULL, 
	state VARCHAR(10) NOT NULL, 
	reason VARCHAR(40) NOT NULL, 
	priority SMALLINT NOT NULL, 
	due_at BIGINT NOT NULL, 
	owner VARCHAR(40), 
	epoch INTEGER NOT NULL, 
	counted_tries SMALLINT NOT NULL, 
	tries SMALLINT NOT NULL, 
	unknown_count SMALLINT NOT NULL, 
	variables TEXT, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	CONSTRAINT fk_deliveries_message_id FOREIGN KEY(message_id) REFERENCES messages (id), 
	CONSTRAINT fk_deliveries_sender_id FOREIGN KEY(sender_id) REFERENCES senders (id)
);
INSERT INTO deliveries VALUES (1, 1, 1, 'someone1', 'a7e5b4359e96fb618217f2779@private.example', 'sent', '', 2, 1796065517985, NULL, 1, 1, 1, 0, NULL, 1796065517835, 1796065517990);
CREATE TABLE files (
	message_id INTEGER NOT NULL, 
	position SMALLINT NOT NULL, 
	name TEXT NOT NULL, 
	content_type TEXT NOT NULL, 
	data BLOB, 
	material_id INTEGER, 
	cid VARCHAR(100) DEFAULT '' NOT NULL, 
	CONSTRAINT pk_files PRIMARY KEY (message_id, position), 
	CONSTRAINT fk_files_material_id FOREIGN KEY(material_id) REFERENCES materials (id) ON DELETE SET NULL, 
	CONSTRAINT fk_files_message_id FOREIGN KEY(message_id) REFERENCES messages (id) ON DELETE CASCADE
);
CREATE TABLE list_entries (
	list_id INTEGER NOT NULL, 
	kind VARCHAR(10) NOT NULL, 
	value VARCHAR(254) NOT NULL, 
	CONSTRAINT pk_list_entries PRIMARY KEY (list_id, kind, value), 
	CONSTRAINT fk_list_entries_list_id FOREIGN KEY(list_id) REFERENCES lists (id) ON DELETE CASCADE
);
CREATE TABLE material_chunks (
	material_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	data BLOB NOT NULL, 
	CONSTRAINT pk_material_chunks PRIMARY KEY (material_id, position), 
	CONSTRAINT fk_material_chunks_material_id FOREIGN KEY(material_id) REFERENCES materials (id) ON DELETE CASCADE
);
INSERT INTO material_chunks VALUES (1, 0, X'746865697273');
CREATE TABLE pending_halts (
	message_id INTEGER NOT NULL, 
	kind VARCHAR(12) NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_pending_halts PRIMARY KEY (message_id), 
	CONSTRAINT fk_pending_halts_message_id FOREIGN KEY(message_id) REFERENCES messages (id) ON DELETE CASCADE
);
CREATE TABLE template_versions (
	template_id INTEGER NOT NULL, 
	version INTEGER NOT NULL, 
	subject TEXT NOT NULL, 
	html TEXT, 
	text TEXT, 
	mjml TEXT, 
	defaults TEXT NOT NULL, 
	variables TEXT NOT NULL, 
	compiled TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_template_versions PRIMARY KEY (template_id, version), 
	CONSTRAINT fk_template_versions_template_id FOREIGN KEY(template_id) REFERENCES templates (id)
);
INSERT INTO template_versions VALUES (1, 1, 's', NULL, 't', NULL, '{}', '{"names":[],"required":[]}', '{"subject":{"texts":["s"],"body":[2,[["s",0]]],"slots":0},"text":{"texts":["t"],"body":[2,[["s",0]]],"slots":0}}', 1796065549212);
CREATE TABLE attempts (
	id INTEGER NOT NULL, 
	delivery_id INTEGER NOT NULL, 
	number SMALLINT NOT NULL, 
	sender_id INTEGER NOT NULL, 
	started_at BIGINT NOT NULL, 
	duration_ms INTEGER NOT NULL, 
	stage VARCHAR(10) NOT NULL, 
	verdict VARCHAR(10) NOT NULL, 
	reason VARCHAR(40) NOT NULL, 
	code SMALLINT NOT NULL, 
	enhanced VARCHAR(16) NOT NULL, 
	reply TEXT NOT NULL, 
	CONSTRAINT pk_attempts PRIMARY KEY (id), 
	CONSTRAINT fk_attempts_delivery_id FOREIGN KEY(delivery_id) REFERENCES deliveries (id), 
	CONSTRAINT fk_attempts_sender_id FOREIGN KEY(sender_id) REFERENCES senders (id)
);
INSERT INTO attempts VALUES (1, 1, 1, 1, 1796065517977, 8, 'dot', 'sent', 'sent', 250, '2.0.0', 'Ok: queued as 1');
CREATE TABLE callback_records (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	address_id INTEGER NOT NULL, 
	message_id INTEGER NOT NULL, 
	delivery_id INTEGER NOT NULL, 
	type SMALLINT NOT NULL, 
	at BIGINT NOT NULL, 
	code INTEGER NOT NULL, 
	error TEXT NOT NULL, 
	batch_id INTEGER, 
	CONSTRAINT fk_callback_records_batch_id FOREIGN KEY(batch_id) REFERENCES callback_batches (id), 
	CONSTRAINT fk_callback_records_delivery_id FOREIGN KEY(delivery_id) REFERENCES deliveries (id)
);
CREATE VIRTUAL TABLE user_search_index USING fts5(text, content='user_search', content_rowid='id', detail='none', columnsize=0, tokenize='trigram case_sensitive 1');
INSERT INTO user_search_index (user_search_index) VALUES ('rebuild');
CREATE VIRTUAL TABLE user_search_terms USING fts5vocab(user_search_index, row);
CREATE INDEX ix_audit_unsealed ON audit (id) WHERE seq IS NULL;
CREATE UNIQUE INDEX uq_audit_seq ON audit (seq);
CREATE INDEX ix_callback_batches_address ON callback_batches (address_id, state, id);
CREATE INDEX ix_callback_batches_ended ON callback_batches (state, ended_at) WHERE state IN ('done', 'dead');
CREATE INDEX ix_callback_batches_open ON callback_batches (address_id, id) WHERE state IN ('waiting', 'claimed');
CREATE INDEX ix_idempotent_responses_created_at ON idempotent_responses (created_at);
CREATE UNIQUE INDEX ix_operators_name_key ON operators (name_key);
CREATE INDEX ix_sandbox_mails_channel_id ON sandbox_mails (channel_id);
CREATE INDEX ix_throttle_at ON throttle (at);
CREATE INDEX ix_tokens_parent_id ON tokens (parent_id);
CREATE INDEX ix_addresses_value ON addresses (value, user_id);
CREATE UNIQUE INDEX uq_blocked_words_everywhere ON blocked_words (word) WHERE channel_id IS NULL;
CREATE UNIQUE INDEX uq_callback_addresses_url ON callback_addresses (channel_id, url) WHERE state <> 'deleted';
CREATE INDEX ix_drafts_operator_id ON drafts (operator_id);
CREATE INDEX ix_frequency_cap_log_at ON frequency_cap_log (at);
CREATE INDEX ix_idempotency_created_at ON idempotency (created_at);
CREATE UNIQUE INDEX uq_lists_name ON lists (channel_id, kind, name) WHERE deleted_at IS NULL;
CREATE INDEX ix_materials_expires_at ON materials (expires_at);
CREATE INDEX ix_messages_accepted_at ON messages (accepted_at);
CREATE INDEX ix_messages_channel ON messages (channel_id, id);
CREATE INDEX ix_messages_expires_at ON messages (expires_at);
CREATE INDEX ix_messages_paused_by_ums ON messages (id) WHERE halt_reason <> '';
CREATE INDEX ix_messages_unexpanded ON messages (id) WHERE state <> 'expanded';
CREATE INDEX ix_one_time_secrets_expires_at ON one_time_secrets (expires_at);
CREATE INDEX ix_one_time_secrets_operator_id ON one_time_secrets (operator_id);
CREATE INDEX ix_sessions_expires_at ON sessions (expires_at);
CREATE INDEX ix_sessions_operator_id ON sessions (operator_id);
CREATE INDEX ix_suppressions_channel ON suppressions (channel_id, id);
CREATE INDEX ix_suppressions_reply_pattern ON suppressions (channel_id, reply_pattern, created_at);
CREATE INDEX ix_tags_tag ON tags (bind_id, tag, user_id);
CREATE INDEX ix_deliveries_due ON deliveries (sender_id, priority, due_at, id) WHERE state IN ('queued', 'deferred');
CREATE INDEX ix_deliveries_in_doubt ON deliveries (sender_id, updated_at) WHERE (state = 'unknown' OR (state IN ('deferred', 'paused') AND reason IN ('unknown_outcome', 'no_answer')));
CREATE INDEX ix_deliveries_message_state ON deliveries (message_id, state, id);
CREATE INDEX ix_deliveries_owner ON deliveries (owner) WHERE state IN ('claimed', 'at_dot');
CREATE INDEX ix_deliveries_userid ON deliveries (userid, id) WHERE userid <> '';
CREATE UNIQUE INDEX uq_deliveries_message_address ON deliveries (message_id, address) WHERE state <> 'invalid';
CREATE INDEX ix_files_material_id ON files (material_id);
CREATE INDEX ix_attempts_delivery_id ON attempts (delivery_id);
CREATE INDEX ix_callback_records_batch_id ON callback_records (batch_id) WHERE batch_id IS NOT NULL;
CREATE INDEX ix_callback_records_delivery_id ON callback_records (delivery_id);
CREATE INDEX ix_callback_records_unbatched ON callback_records (address_id, id) WHERE batch_id IS NULL;
CREATE TRIGGER user_search_added AFTER INSERT ON user_search BEGIN INSERT INTO user_search_index (rowid, text) VALUES (new.id, new.text); END;
CREATE TRIGGER user_search_removed AFTER DELETE ON user_search BEGIN INSERT INTO user_search_index (user_search_index, rowid, text) VALUES ('delete', old.id, old.text); END;
CREATE TRIGGER user_search_changed AFTER UPDATE OF text ON user_search BEGIN INSERT INTO user_search_index (user_search_index, rowid, text) VALUES ('delete', old.id, old.text); INSERT INTO user_search_index (rowid, text) VALUES (new.id, new.text); END;
