/*
 * Data that redis cannot load: it says so and exits, at each start anew. A replica gets the master's data instead, once that
 * serves; a master that was only decided gives way to one that has data. What is damaged is set aside, never deleted, and
 * not before there is somebody to copy from: if all are damaged, all is left in its place for a person to repair.
 */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "instance/redis_data.h"
#include "supervisor/supervisor_priv.h"

void
damage_line(struct unit *u, struct slice line)
{
	if (u->kind == UNIT_REDIS && process_state(u->process) == PROCESS_STARTING &&
	    u->complaint[0] == '\0' && redis_data_is_complaint(line)) {
		(void)snprintf(u->complaint, sizeof(u->complaint), "%.*s",
		    (int)MIN(line.len, sizeof(u->complaint) - 1), (const char *)line.ptr);
	}
}

void
damage_ended(struct unit *u)
{
	struct supervisor *s = u->sup;
	bool again = u->damaged;
	const char *then;

	if (u->complaint[0] == '\0') {
		return;
	}
	if (u->loaded.needs[0] != '\0') {
		u->complaint[0] = '\0'; /* its data is well: it is the module that is missing */
		return;
	}
	u->damaged = true;
	if (u != s->master) {
		then = "it is set aside, and copied again from the master";
	} else if (resume_decide_again(s)) {
		then = "another begins as master, it is set aside and copied again from that one";
	} else {
		then = "no other instance can begin in its place: repair it with redis-check-aof "
		       "(see `holdfast "
		       "logs`), then `holdfast start` it";
	}
	if (!again) {
		history_add(s->history, EVENT_DATA_DAMAGED, u->name,
		    json_pack("{s:s}", "why", u->complaint), "its data cannot be loaded: %s", then);
	}
}

int
damage_prepare(struct unit *u, bool replica, struct errmsg *err)
{
	const struct supervisor *s = u->sup;
	uint64_t now = clock_wall_ms() / 1000;
	int rc;

	u->complaint[0] = '\0';
	if ((!u->damaged && !u->loaded.diverged) || !replica) {
		return 0;
	}
	if (s->master == NULL || !servers_is_master(s->master)) {
		return -EAGAIN;
	}
	rc = redis_data_set_aside(u->dir, "damaged", now, err);
	if (rc == 0) {
		u->damaged = u->loaded.diverged = false;
		log_notice("%s: its damaged data is set aside as *.damaged-%llu in its folder",
		    u->name, (unsigned long long)now);
	}
	return rc;
}

void
damage_tick(struct supervisor *s)
{
	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];

		if (u->damaged && u != s->master && s->master != NULL &&
		    servers_is_master(s->master)) {
			process_kick(u->process);
		}
	}
}
