#include "instance/sentinel_conf.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "instance/conf_file.h"
#include "instance/redis_conf.h"

/* Lines that are ours: plain directives, and those of the form `sentinel WORD …`. */
static const char *const owned_plain[] = {"port", "bind", "protected-mode", "dir", "logfile",
    "daemonize", "supervised", "pidfile", "tls-port", "tls-cert-file", "tls-key-file",
    "tls-ca-cert-file", "tls-replication", "tls-auth-clients"};
static const char *const owned_sentinel[] = {"announce-ip", "announce-port",
    "down-after-milliseconds", "failover-timeout", "parallel-syncs", "auth-user", "auth-pass"};
/* The same once it is guarded, and the users: since Redis 6.2. */
static const char *const guarded_sentinel[] = {"sentinel-user", "sentinel-pass"};

/* What clients of Sentinel need to find the master, and nothing that changes anything. */
#define GUEST_RULES                                                                                \
	"on nopass ~* &* -@all +ping +hello +auth +role +info +command +client|setname "           \
	"+client|getname +client|id +subscribe +psubscribe "                                       \
	"+unsubscribe +punsubscribe +sentinel|myid +sentinel|master +sentinel|masters "            \
	"+sentinel|replicas +sentinel|slaves +sentinel|sentinels +sentinel|ckquorum "              \
	"+sentinel|get-master-addr-by-name"

static bool
is_one_of(struct slice word, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (slice_caseeq(word, names[i])) {
			return true;
		}
	}
	return false;
}

/* Is the line `sentinel WORD NAME …` with at least `count` words? */
static bool
is_about(const struct conf_line *line, const char *word, const char *name, size_t count)
{
	return line->count >= count && slice_caseeq(line->words[0], "sentinel") &&
	       slice_caseeq(line->words[1], word) && slice_eq(line->words[2], name);
}

/* ---- reading ---- */

static bool
read_endpoint(struct slice host, struct slice port, struct endpoint *ret_at)
{
	struct sockaddr_storage addr;
	socklen_t len;
	uint64_t number;
	char *text;
	bool ok;

	if (!slice_to_u64(port, &number) || number == 0 || number > UINT16_MAX || host.len > 200) {
		return false;
	}
	text = xstrndup((const char *)host.ptr, host.len);
	*ret_at = endpoint_tcp(text, (uint16_t)number);
	ok = endpoint_resolve(ret_at, true, &addr, &len, NULL) == 0;
	free(text);
	return ok;
}

static void
read_id(struct slice word, char ret_id[SENTINEL_ID_SIZE])
{
	if (word.len == SENTINEL_ID_SIZE - 1) {
		memcpy(ret_id, word.ptr, word.len);
		ret_id[word.len] = '\0';
	}
}

static void
read_line(const struct conf_line *line, const char *name, struct sentinel_memory *m)
{
	uint64_t number;

	if (is_about(line, "monitor", name, 6)) {
		if (read_endpoint(line->words[3], line->words[4], &m->master.at)) {
			(void)snprintf(m->master_name, sizeof(m->master_name), "%s", name);
		}
		m->quorum = slice_to_u64(line->words[5], &number) ? (unsigned)number : 0;
	} else if (is_about(line, "config-epoch", name, 4)) {
		(void)slice_to_u64(line->words[3], &m->master.epoch);
	} else if (is_about(line, "leader-epoch", name, 4)) {
		(void)slice_to_u64(line->words[3], &m->leader_epoch);
	} else if ((is_about(line, "known-replica", name, 5) ||
		       is_about(line, "known-slave", name, 5)) &&
		   m->replica_count < SENTINEL_MAX_KNOWN) {
		m->replica_count +=
		    read_endpoint(line->words[3], line->words[4], &m->replicas[m->replica_count])
			? 1
			: 0;
	} else if (is_about(line, "known-sentinel", name, 6) &&
		   m->sentinel_count < SENTINEL_MAX_KNOWN &&
		   read_endpoint(
		       line->words[3], line->words[4], &m->sentinels[m->sentinel_count].at)) {
		read_id(line->words[5], m->sentinels[m->sentinel_count].id);
		m->sentinel_count++;
	} else if (line->count >= 3 && slice_caseeq(line->words[0], "sentinel")) {
		if (slice_caseeq(line->words[1], "myid")) {
			read_id(line->words[2], m->id);
		} else if (slice_caseeq(line->words[1], "current-epoch")) {
			(void)slice_to_u64(line->words[2], &m->current_epoch);
		}
	}
}

int
sentinel_conf_parse(struct slice text, const char *master_name, struct sentinel_memory *ret_memory,
    struct errmsg *err)
{
	struct sentinel_memory m = {0};
	struct conf_line line;

	while (conf_file_next(&text, &line)) {
		read_line(&line, master_name, &m);
	}
	if (m.master_name[0] == '\0') {
		errmsg_set(err, "it monitors no master '%s' at a numeric address", master_name);
		return -EINVAL;
	}
	*ret_memory = m;
	return 0;
}

static char *
conf_path(const char *dir)
{
	return xasprintf("%s/sentinel.conf", dir);
}

int
sentinel_conf_read(const char *dir, const char *master_name, struct sentinel_memory *ret_memory,
    struct errmsg *err)
{
	char *path = conf_path(dir);
	struct buf text;
	int rc;

	buf_init(&text, 0);
	rc = conf_file_read(path, &text, err);
	if (rc == 0) {
		rc = sentinel_conf_parse(buf_slice(&text), master_name, ret_memory, err);
	}
	buf_fini(&text);
	free(path);
	return rc;
}

/* ---- writing ---- */

static int
add_settings(struct buf *out, const struct sentinel_spec *spec)
{
	int err = buf_addf(out, "port %u\nbind", spec->tls != NULL ? 0 : spec->port);

	for (size_t i = 0; i < spec->bind_count; i++) {
		err |= buf_add(out, " ", 1) | conf_file_add_word(out, spec->bind[i]);
	}
	err |= buf_add_str(out, "\nprotected-mode no\ndaemonize no\nlogfile \"\"\ndir ");
	err |= conf_file_add_word(out, spec->dir);
	err |= buf_addf(out, "\nsentinel announce-ip %s\nsentinel announce-port %u\n",
	    spec->address, spec->announced_port != 0 ? spec->announced_port : spec->port);
	if (spec->tls != NULL) {
		err |= redis_conf_add_tls(spec->tls, spec->port, out);
	}
	if (spec->guarded) {
		err |= buf_addf(out,
		    "user default " GUEST_RULES "\nuser %s on >%s ~* &* +@all\n"
		    "sentinel sentinel-user %s\nsentinel sentinel-pass %s\n",
		    spec->user, spec->secret, spec->user, spec->secret);
	}
	return err;
}

/* Behind the line `sentinel monitor`. */
static int
add_master_settings(struct buf *out, const struct sentinel_spec *spec)
{
	const char *name = spec->master_name;

	return buf_addf(out,
	    "sentinel down-after-milliseconds %s %llu\nsentinel failover-timeout %s %llu\n"
	    "sentinel parallel-syncs %s %u\nsentinel auth-user %s %s\nsentinel auth-pass %s %s\n",
	    name, (unsigned long long)spec->down_after_ms, name,
	    (unsigned long long)spec->failover_timeout_ms, name, spec->parallel_syncs, name,
	    spec->user, name, spec->secret);
}

static int
write_file(const char *dir, const struct buf *content, struct errmsg *err)
{
	char *path = conf_path(dir);
	int rc = conf_file_replace(path, buf_slice(content), err);

	free(path);
	return rc;
}

int
sentinel_conf_create(
    const struct sentinel_spec *spec, const struct sentinel_memory *memory, struct errmsg *err)
{
	const struct topo_master *m = &memory->master;
	const char *name = spec->master_name;
	char *path = conf_path(spec->dir);
	struct buf out;
	int rc = 0;

	assert(memory->id[0] != '\0');
	buf_init(&out, CONF_FILE_BYTES_MAX);
	if (access(path, F_OK) == 0) {
		errmsg_set(err, "%s is there already", path);
		rc = -EEXIST;
	} else if (mkdir(spec->dir, 0700) == -1 && errno != EEXIST) {
		rc = -errno;
		errmsg_set(err, "cannot make %s: %m", spec->dir);
	}
	if (rc == 0) {
		int full = add_settings(&out, spec);

		full |= buf_addf(&out, "sentinel myid %s\nsentinel monitor %s %s %u %u\n",
		    memory->id, name, m->at.host, m->at.port, spec->quorum);
		full |= add_master_settings(&out, spec);
		full |= buf_addf(&out,
		    "sentinel config-epoch %s %llu\nsentinel leader-epoch %s %llu\nsentinel "
		    "current-epoch %llu\n",
		    name, (unsigned long long)m->epoch, name,
		    (unsigned long long)memory->leader_epoch,
		    (unsigned long long)MAX(memory->current_epoch, m->epoch));
		for (size_t i = 0; i < memory->replica_count; i++) {
			full |= buf_addf(&out, "sentinel known-replica %s %s %u\n", name,
			    memory->replicas[i].host, memory->replicas[i].port);
		}
		for (size_t i = 0; i < memory->sentinel_count; i++) {
			full |= buf_addf(&out, "sentinel known-sentinel %s %s %u %s\n", name,
			    memory->sentinels[i].at.host, memory->sentinels[i].at.port,
			    memory->sentinels[i].id);
		}
		rc = full != 0 ? -ENOBUFS : write_file(spec->dir, &out, err);
	}
	buf_fini(&out);
	free(path);
	return rc;
}

void
sentinel_conf_new_id(char ret_id[SENTINEL_ID_SIZE])
{
	uint8_t bytes[(SENTINEL_ID_SIZE - 1) / 2];
	ssize_t n = getrandom(bytes, sizeof(bytes), 0);

	assert(n == (ssize_t)sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++) {
		(void)snprintf(ret_id + 2 * i, 3, "%02x", bytes[i]);
	}
}

/* ---- editing ---- */

static const struct endpoint *
find_move(const struct endpoint *at, const struct sentinel_move *moves, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (endpoint_equal(&moves[i].from, at)) {
			return &moves[i].to;
		}
	}
	return at;
}

/* Is it a host's of the cluster, as far as that is known? */
static bool
is_known(const struct endpoint *at, const struct sentinel_spec *spec)
{
	for (size_t i = 0; i < spec->known_count; i++) {
		if (endpoint_equal(&spec->known[i], at)) {
			return true;
		}
	}
	return spec->known == NULL;
}

/* A line that names an instance, with its address of now; for the monitor line also with the quorum of now. */
static int
add_moved(struct buf *out, const struct conf_line *line, const struct sentinel_spec *spec,
    const struct sentinel_move *moves, size_t move_count)
{
	const struct endpoint *to;
	struct endpoint at;
	int err;

	if (!read_endpoint(line->words[3], line->words[4], &at)) {
		return buf_add_slice(out, line->raw) | buf_add(out, "\n", 1);
	}
	to = find_move(&at, moves, move_count);
	if (!slice_caseeq(line->words[1], "monitor") && !is_known(to, spec)) {
		return 0; /* of a host that is none of the cluster any more */
	}
	err = buf_addf(out, "sentinel %.*s %s %s %u", (int)line->words[1].len,
	    (const char *)line->words[1].ptr, spec->master_name, to->host, to->port);
	if (slice_caseeq(line->words[1], "monitor")) {
		return err | buf_addf(out, " %u\n", spec->quorum) | add_master_settings(out, spec);
	}
	if (line->count > 5) {
		err |= buf_add(out, " ", 1) | buf_add_slice(out, line->words[5]);
	}
	return err | buf_add(out, "\n", 1);
}

/* Did it take orders from that user only? */
static bool
was_guarded(struct slice text, const char *user)
{
	struct conf_line line;
	bool was = false;

	while (!was && conf_file_next(&text, &line)) {
		was = line.count > 1 && slice_caseeq(line.words[0], "user") &&
		      slice_eq(line.words[1], user);
	}
	return was;
}

static bool
is_guard(const struct conf_line *line)
{
	return line->count > 1 &&
	       (slice_caseeq(line->words[0], "user") ||
		   (slice_caseeq(line->words[0], "sentinel") &&
		       is_one_of(line->words[1], guarded_sentinel, ARRAY_LEN(guarded_sentinel))));
}

int
sentinel_conf_edit(struct slice text, const struct sentinel_spec *spec,
    const struct sentinel_move *moves, size_t move_count, struct buf *out, struct errmsg *err)
{
	const char *name = spec->master_name;
	struct sentinel_memory memory;
	struct conf_line line;
	bool guard_leaves = spec->guarded || was_guarded(text, spec->user);
	int rc = sentinel_conf_parse(text, name, &memory, err), full;

	if (rc < 0) {
		return rc;
	}
	full = add_settings(out, spec);
	while (full == 0 && conf_file_next(&text, &line)) {
		bool sentinel = line.count > 1 && slice_caseeq(line.words[0], "sentinel");

		if (guard_leaves && is_guard(&line)) {
			continue;
		}
		if (line.count > 0 && !sentinel &&
		    is_one_of(line.words[0], owned_plain, ARRAY_LEN(owned_plain))) {
			continue;
		}
		if (sentinel &&
		    is_one_of(line.words[1], owned_sentinel, ARRAY_LEN(owned_sentinel)) &&
		    (line.count < 4 || slice_eq(line.words[2], name))) {
			continue;
		}
		if (is_about(&line, "monitor", name, 6) ||
		    is_about(&line, "known-replica", name, 5) ||
		    is_about(&line, "known-slave", name, 5) ||
		    is_about(&line, "known-sentinel", name, 6)) {
			full = add_moved(out, &line, spec, moves, move_count);
		} else {
			full = buf_add_slice(out, line.raw) | buf_add(out, "\n", 1);
		}
	}
	if (full != 0) {
		errmsg_set(err, "%s: its sentinel.conf is too large", spec->name);
		return -ENOBUFS;
	}
	return 0;
}

int
sentinel_conf_adjust(const struct sentinel_spec *spec, const struct sentinel_move *moves,
    size_t move_count, struct errmsg *err)
{
	char *path = conf_path(spec->dir);
	struct buf old, new;
	int rc;

	buf_init(&old, 0);
	buf_init(&new, CONF_FILE_BYTES_MAX);
	rc = conf_file_read(path, &old, err);
	if (rc == 0) {
		rc = sentinel_conf_edit(buf_slice(&old), spec, moves, move_count, &new, err);
	}
	if (rc == 0) {
		rc = write_file(spec->dir, &new, err);
	}
	buf_fini(&old);
	buf_fini(&new);
	free(path);
	return rc;
}

int
sentinel_conf_set_aside(const char *dir, struct errmsg *err)
{
	char *path = conf_path(dir), *aside = xasprintf("%s.damaged", path);
	int rc = rename(path, aside) == -1 ? -errno : 0;

	if (rc < 0) {
		errmsg_set(err, "cannot set %s aside: %s", path, strerror(-rc));
	}
	free(path);
	free(aside);
	return rc;
}

/* ---- from the configuration ---- */

struct sentinel_spec *
sentinel_spec_new(const struct conf *conf, size_t i, const char *address, const char *secret)
{
	struct sentinel_spec *spec = xcalloc(1, sizeof(*spec));
	char *name = xasprintf("sentinel-%zu", i + 1),
	     *dir = xasprintf("%s/%s", conf->data_dir, name);

	*spec = (struct sentinel_spec){
	    .name = name,
	    .dir = dir,
	    .bind = (const char *const *)conf->sentinel_bind.items,
	    .bind_count = conf->sentinel_bind.count,
	    .address = address,
	    .port = (uint16_t)(conf->sentinel_port + i),
	    .master_name = conf->holdfast_name,
	    .quorum = conf->sentinel_quorum,
	    .down_after_ms = conf->sentinel_down_after_ms,
	    .failover_timeout_ms = conf->sentinel_failover_timeout_ms,
	    .parallel_syncs = 1,
	    .user = INSTANCE_USER,
	    .secret = secret,
	    .guarded = conf->peer_count > 0,
	};
	if (conf_hosts_use_tls(conf)) {
		struct tls_files *tls = xcalloc(1, sizeof(*tls));

		*tls = conf_hosts_tls(conf);
		spec->tls = tls;
	}
	return spec;
}

void
sentinel_spec_free(struct sentinel_spec **spec)
{
	if (*spec != NULL) {
		free((char *)(uintptr_t)(*spec)->name);
		free((char *)(uintptr_t)(*spec)->dir);
		free((struct tls_files *)(uintptr_t)(*spec)->tls);
		free(*spec);
		*spec = NULL;
	}
}
