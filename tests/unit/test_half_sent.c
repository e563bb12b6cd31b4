/*
 * One connection that several clients share, and whose socket has taken any number of the bytes of what they asked in one go, when
 * its master is lost: at each byte, what was not sent whole goes to the next master, and what may have been carried out does not.
 */
#include "unit.h"

#include "lane_world.h"
#include "narrow.h"

#define UNCERTAIN                                                                                  \
	"-UNCERTAIN master lost before it answered; the write may or may not have happened;"
#define CLIENTS    3
#define TEXT_BYTES 512

static const struct {
	unsigned client;
	const char *name, *arg;
	unsigned flags;
} asked[] = {
    {0, "GET", "1", LANE_READ},
    {1, "SET", "2", 0},
    {0, "SET", "3", 0},
    {2, "GET", "4", LANE_READ},
    {1, "GET", "5", LANE_READ},
    {2, "SET", "6", 0},
    {0, "GET", "7", LANE_READ},
};

#define REQUEST_BYTES ((size_t)20) /* of each of them: *2 $3 GET $1 1 */
#define ALL_BYTES     (ARRAY_LEN(asked) * REQUEST_BYTES)

enum end { DROPPED, REPLACED, ENDS };

static void
add(char *text, const char *more)
{
	size_t len = strlen(text);

	assert_true(len + strlen(more) < TEXT_BYTES);
	memcpy(text + len, more, strlen(more) + 1);
}

/* What each client hears, what A has carried out, and what B is asked, when `whole` requests were sent. */
static void
foretell(size_t whole, char got[CLIENTS][TEXT_BYTES], char *a_saw, char *b_saw)
{
	for (size_t i = 0; i < CLIENTS; i++) {
		got[i][0] = '\0';
	}
	a_saw[0] = b_saw[0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
		char *mine = got[asked[i].client];
		bool read = (asked[i].flags & LANE_READ) != 0, sent = i < whole;
		char line[32];

		(void)snprintf(line, sizeof(line), "%s %s;", asked[i].name, asked[i].arg);
		add(sent ? a_saw : b_saw, line);
		if (sent && read) {
			add(b_saw, line);
		}
		(void)snprintf(line, sizeof(line), "$1\r\n%s;", asked[i].arg);
		add(mine, read ? line : sent ? UNCERTAIN : "+OK;");
	}
}

static bool
a_has_all(void *arg)
{
	return a.count >= *(size_t *)arg;
}

static void
lose_after(size_t bytes, enum end end)
{
	struct lane *lane = lane_shared(backend, &nobody);
	char want[CLIENTS][TEXT_BYTES], a_saw[TEXT_BYTES], b_saw[TEXT_BYTES];
	struct client clients[CLIENTS];
	size_t whole = bytes / REQUEST_BYTES;

	for (size_t i = 0; i < CLIENTS; i++) {
		client_init(&clients[i]);
	}
	name_master(&a);
	GET(&clients[0], lane, "0");
	until_replies(&clients[0]);
	clients[0].got[0] = a.seen[0] = '\0';
	a.count = 0;
	a.mute = true;

	narrow_begin(a.fake, bytes);
	for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
		send_words(
		    &clients[asked[i].client], lane, asked[i].name, asked[i].arg, asked[i].flags);
	}
	fake_run_until(loop, narrow_is_full, NULL);
	fake_run_until(loop, a_has_all, &whole);
	if (end == DROPPED) {
		a.is_master = false;
		fake_drop_all(a.fake);
		fake_run_until(loop, is_holding, NULL);
	}
	name_master(&b);
	foretell(whole, want, a_saw, b_saw);
	for (size_t i = 0; i < CLIENTS; i++) {
		until_replies(&clients[i]);
		assert_string_equal(clients[i].got, want[i]);
		requester_fini(&clients[i].r);
	}
	assert_string_equal(a.seen, a_saw);
	assert_string_equal(b.seen, b_saw);
	narrow_end();
	lane_release(&lane);
}

static void
each_byte(enum end end)
{
	for (size_t bytes = 0; bytes <= ALL_BYTES; bytes++) {
		(void)world_setup(NULL);
		lose_after(bytes, end);
		(void)world_teardown(NULL);
	}
}

static void
its_connections_break(void **state)
{
	each_byte(DROPPED);
}

static void
it_is_replaced_while_it_lives(void **state)
{
	each_byte(REPLACED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(its_connections_break),
	    cmocka_unit_test(it_is_replaced_while_it_lives),
	};

	return cmocka_run_group_tests_name("half sent", tests, NULL, NULL);
}
