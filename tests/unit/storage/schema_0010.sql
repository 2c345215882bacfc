BEGIN TRANSACTION;
CREATE TABLE accounts (
	user VARCHAR NOT NULL,
	person VARCHAR NOT NULL,
	language VARCHAR NOT NULL,
	PRIMARY KEY (user)
);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0010');
CREATE TABLE assignments (
	record INTEGER NOT NULL,
	n INTEGER NOT NULL,
	user VARCHAR NOT NULL,
	asked VARCHAR NOT NULL,
	at INTEGER NOT NULL,
	PRIMARY KEY (record)
);
CREATE TABLE away (
	user VARCHAR NOT NULL,
	record INTEGER NOT NULL,
	since INTEGER NOT NULL,
	until INTEGER NOT NULL,
	PRIMARY KEY (user)
);
CREATE TABLE case_notes (
	record INTEGER NOT NULL,
	n INTEGER NOT NULL,
	"by" VARCHAR NOT NULL,
	words TEXT NOT NULL,
	at INTEGER NOT NULL,
	PRIMARY KEY (record)
);
CREATE TABLE cases (
	n INTEGER NOT NULL,
	record INTEGER NOT NULL,
	room VARCHAR NOT NULL,
	subject VARCHAR NOT NULL,
	person VARCHAR NOT NULL,
	rule VARCHAR NOT NULL,
	grade VARCHAR NOT NULL,
	decide VARCHAR NOT NULL,
	manages INTEGER NOT NULL,
	state VARCHAR NOT NULL,
	outcome VARCHAR NOT NULL,
	opened INTEGER NOT NULL,
	due INTEGER NOT NULL,
	decided INTEGER NOT NULL,
	"by" VARCHAR NOT NULL,
	reason TEXT NOT NULL,
	excerpt TEXT NOT NULL,
	card VARCHAR NOT NULL, asked VARCHAR DEFAULT 'managers' NOT NULL, about INTEGER DEFAULT '0' NOT NULL, remind INTEGER DEFAULT '0' NOT NULL, appealed INTEGER DEFAULT '0' NOT NULL, appeal TEXT DEFAULT '' NOT NULL,
	PRIMARY KEY (n)
);
CREATE TABLE challenge_attempts (
	id INTEGER NOT NULL,
	at INTEGER NOT NULL,
	user VARCHAR NOT NULL,
	about VARCHAR DEFAULT '' NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE challenges (
	user VARCHAR NOT NULL,
	method VARCHAR NOT NULL,
	state TEXT NOT NULL,
	started INTEGER NOT NULL,
	until INTEGER NOT NULL,
	tries INTEGER DEFAULT '0' NOT NULL,
	poll INTEGER DEFAULT '0' NOT NULL,
	PRIMARY KEY (user)
);
CREATE TABLE credit (
	record INTEGER NOT NULL,
	person VARCHAR NOT NULL,
	user VARCHAR NOT NULL,
	at INTEGER NOT NULL,
	entry VARCHAR NOT NULL,
	cost INTEGER NOT NULL,
	grade VARCHAR NOT NULL,
	rule VARCHAR NOT NULL,
	n INTEGER NOT NULL,
	room VARCHAR NOT NULL,
	undoes INTEGER NOT NULL, ledger VARCHAR DEFAULT 'credit' NOT NULL,
	PRIMARY KEY (record)
);
CREATE TABLE dossier_steps (
	record INTEGER NOT NULL,
	dossier INTEGER NOT NULL,
	step VARCHAR NOT NULL,
	at INTEGER NOT NULL,
	reader VARCHAR NOT NULL,
	reason TEXT NOT NULL,
	bar TEXT NOT NULL,
	digest VARCHAR NOT NULL,
	PRIMARY KEY (record)
);
CREATE TABLE dossiers (
	record INTEGER NOT NULL,
	subject VARCHAR NOT NULL,
	covers TEXT NOT NULL,
	task INTEGER NOT NULL,
	state VARCHAR NOT NULL,
	at INTEGER NOT NULL,
	reader VARCHAR NOT NULL,
	reason TEXT NOT NULL,
	PRIMARY KEY (record)
);
CREATE TABLE events (
	record INTEGER NOT NULL,
	event VARCHAR NOT NULL,
	room VARCHAR NOT NULL,
	sender VARCHAR NOT NULL,
	kind VARCHAR NOT NULL,
	at INTEGER NOT NULL,
	PRIMARY KEY (record),
	UNIQUE (event)
);
CREATE TABLE evidence (
	record INTEGER NOT NULL,
	n INTEGER NOT NULL,
	event VARCHAR NOT NULL,
	PRIMARY KEY (record, n),
	FOREIGN KEY(n) REFERENCES cases (n)
);
CREATE TABLE gap_events (
	event VARCHAR NOT NULL,
	room VARCHAR NOT NULL,
	raw TEXT NOT NULL,
	PRIMARY KEY (event)
);
CREATE TABLE gap_pages (
	room VARCHAR NOT NULL,
	n INTEGER NOT NULL,
	start TEXT NOT NULL,
	stop TEXT NOT NULL,
	PRIMARY KEY (room, n)
);
CREATE TABLE gaps (
	room VARCHAR NOT NULL,
	until VARCHAR DEFAULT '' NOT NULL,
	since INTEGER DEFAULT '0' NOT NULL,
	bottom INTEGER DEFAULT '0' NOT NULL,
	told TEXT DEFAULT '[]' NOT NULL,
	PRIMARY KEY (room)
);
CREATE TABLE holds (
	room VARCHAR NOT NULL,
	user VARCHAR NOT NULL,
	what VARCHAR NOT NULL,
	step VARCHAR NOT NULL,
	prior VARCHAR NOT NULL,
	held VARCHAR NOT NULL,
	corrections INTEGER NOT NULL,
	PRIMARY KEY (room, user, what)
);
CREATE TABLE link_requests (
	user VARCHAR NOT NULL,
	person VARCHAR NOT NULL,
	method VARCHAR NOT NULL,
	level INTEGER NOT NULL,
	until INTEGER NOT NULL,
	lapses INTEGER NOT NULL,
	code VARCHAR DEFAULT '' NOT NULL,
	tries INTEGER DEFAULT '0' NOT NULL,
	PRIMARY KEY (user)
);
CREATE TABLE links (
	record INTEGER NOT NULL,
	user VARCHAR NOT NULL,
	"to" VARCHAR NOT NULL,
	at INTEGER NOT NULL,
	ended INTEGER DEFAULT '0' NOT NULL,
	PRIMARY KEY (record)
);
CREATE TABLE members (
	room VARCHAR NOT NULL,
	user VARCHAR NOT NULL,
	membership VARCHAR NOT NULL,
	display_name TEXT NOT NULL,
	role VARCHAR NOT NULL, since INTEGER DEFAULT '0' NOT NULL,
	PRIMARY KEY (room, user)
);
CREATE TABLE meta (
	"key" VARCHAR NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY ("key")
);
CREATE TABLE outbox (
	id INTEGER NOT NULL,
	txn VARCHAR NOT NULL,
	priority INTEGER NOT NULL,
	room VARCHAR NOT NULL,
	action TEXT NOT NULL,
	record INTEGER NOT NULL,
	not_before INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	merge VARCHAR,
	PRIMARY KEY (id),
	UNIQUE (merge),
	UNIQUE (txn)
);
CREATE TABLE pinned_keys (
	user VARCHAR NOT NULL,
	"key" VARCHAR NOT NULL,
	record INTEGER NOT NULL,
	PRIMARY KEY (user)
);
CREATE TABLE pointed (
	room VARCHAR NOT NULL,
	user VARCHAR NOT NULL,
	step VARCHAR NOT NULL,
	record INTEGER NOT NULL,
	at INTEGER NOT NULL,
	PRIMARY KEY (room, user, step)
);
CREATE TABLE reports (
	record INTEGER NOT NULL,
	n INTEGER NOT NULL,
	message INTEGER NOT NULL,
	subject VARCHAR NOT NULL,
	"by" VARCHAR NOT NULL,
	reason TEXT NOT NULL,
	at INTEGER NOT NULL,
	PRIMARY KEY (record)
);
CREATE TABLE requests (
	record INTEGER NOT NULL,
	user VARCHAR NOT NULL,
	what VARCHAR NOT NULL,
	at INTEGER NOT NULL,
	PRIMARY KEY (record)
);
CREATE TABLE room_rules (
	record INTEGER NOT NULL,
	room VARCHAR NOT NULL,
	name VARCHAR NOT NULL,
	settings TEXT NOT NULL,
	"by" VARCHAR DEFAULT '' NOT NULL,
	at INTEGER NOT NULL,
	ended INTEGER DEFAULT '0' NOT NULL,
	PRIMARY KEY (record)
);
CREATE TABLE room_settings (
	room VARCHAR NOT NULL,
	setting VARCHAR NOT NULL,
	value VARCHAR NOT NULL,
	record INTEGER NOT NULL,
	"by" VARCHAR DEFAULT '' NOT NULL,
	PRIMARY KEY (room, setting)
);
CREATE TABLE rooms (
	room VARCHAR NOT NULL,
	code VARCHAR NOT NULL,
	purpose VARCHAR NOT NULL,
	served VARCHAR NOT NULL,
	direct_with VARCHAR NOT NULL,
	invited_by VARCHAR NOT NULL,
	condition VARCHAR NOT NULL,
	language VARCHAR NOT NULL,
	via TEXT NOT NULL,
	name TEXT NOT NULL,
	notice VARCHAR NOT NULL,
	created TEXT NOT NULL,
	levels TEXT NOT NULL,
	entered INTEGER NOT NULL, asked INTEGER DEFAULT '0' NOT NULL, successor VARCHAR DEFAULT '' NOT NULL,
	PRIMARY KEY (room),
	UNIQUE (code)
);
CREATE TABLE rosters (
	room VARCHAR NOT NULL,
	user VARCHAR NOT NULL,
	record INTEGER NOT NULL,
	hours TEXT NOT NULL,
	PRIMARY KEY (room, user)
);
CREATE TABLE sanctions (
	record INTEGER NOT NULL,
	kind VARCHAR NOT NULL,
	room VARCHAR NOT NULL,
	subject VARCHAR NOT NULL,
	person VARCHAR NOT NULL,
	at INTEGER NOT NULL,
	until INTEGER NOT NULL,
	n INTEGER NOT NULL,
	basis VARCHAR NOT NULL,
	rule VARCHAR NOT NULL,
	"by" VARCHAR NOT NULL,
	reason TEXT NOT NULL,
	event VARCHAR NOT NULL,
	ended INTEGER NOT NULL,
	why_ended VARCHAR NOT NULL, every INTEGER DEFAULT '0' NOT NULL,
	PRIMARY KEY (record)
);
CREATE TABLE statements (
	record INTEGER NOT NULL,
	n INTEGER NOT NULL,
	subject VARCHAR NOT NULL,
	at INTEGER NOT NULL,
	statement TEXT NOT NULL,
	PRIMARY KEY (record)
);
CREATE TABLE tasks (
	record INTEGER NOT NULL,
	task VARCHAR NOT NULL,
	n INTEGER NOT NULL,
	room VARCHAR NOT NULL,
	subject VARCHAR NOT NULL,
	at INTEGER NOT NULL,
	done INTEGER NOT NULL,
	result VARCHAR NOT NULL,
	reason TEXT NOT NULL,
	PRIMARY KEY (record)
);
CREATE TABLE verifications (
	record INTEGER NOT NULL,
	person VARCHAR NOT NULL,
	user VARCHAR NOT NULL,
	room VARCHAR NOT NULL,
	method VARCHAR NOT NULL,
	level INTEGER NOT NULL,
	"by" VARCHAR NOT NULL,
	at INTEGER NOT NULL,
	until INTEGER NOT NULL,
	revoked INTEGER NOT NULL,
	PRIMARY KEY (record)
);
CREATE INDEX cases_by_card ON cases (card);
CREATE INDEX cases_by_state ON cases (room, state, due);
CREATE INDEX cases_by_subject ON cases (person, opened);
CREATE INDEX credit_by_person ON credit (person);
CREATE INDEX members_by_user ON members (user);
CREATE INDEX outbox_in_order ON outbox (priority, id);
CREATE INDEX sanctions_by_person ON sanctions (person, ended);
CREATE INDEX sanctions_in_force ON sanctions (ended, until);
CREATE INDEX verifications_by_person ON verifications (person);
CREATE INDEX evidence_by_case ON evidence (n);
CREATE INDEX assignments_by_case ON assignments (n);
CREATE INDEX case_notes_by_case ON case_notes (n);
CREATE INDEX dossier_steps_by_dossier ON dossier_steps (dossier);
CREATE INDEX reports_by_case ON reports (n);
CREATE INDEX reports_by_reporter ON reports ("by", at);
CREATE INDEX statements_by_case ON statements (n);
CREATE INDEX cases_about ON cases (about);
CREATE INDEX cases_by_due ON cases (due);
CREATE INDEX pointed_by_user ON pointed (user);
CREATE INDEX challenge_attempts_by_time ON challenge_attempts (at);
CREATE INDEX sanctions_by_room ON sanctions (room, kind, ended);
CREATE INDEX sanctions_by_event ON sanctions (event);
CREATE INDEX gap_events_by_room ON gap_events (room);
CREATE INDEX room_rules_by_room ON room_rules (room, ended);
CREATE INDEX events_by_sender ON events (room, sender, at);
CREATE INDEX cases_by_remind ON cases (remind);
CREATE INDEX rooms_by_served ON rooms (served);
CREATE INDEX rooms_by_direct ON rooms (direct_with);
COMMIT;
