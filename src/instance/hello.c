#include "instance/hello.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "topo/reply.h"

#define ID_LEN 40

bool
hello_read_peer(const struct redisReply *peers, char ret_peer[HELLO_PEER_SIZE])
{
	for (size_t i = 0; i < reply_count(peers); i++) {
		const struct redisReply *peer = reply_at(peers, i);
		struct slice id = reply_text(reply_field(peer, "runid"));
		struct endpoint at;
		char text[ID_LEN + 1];

		if (id.len != ID_LEN ||
		    !reply_endpoint(reply_field(peer, "ip"), reply_field(peer, "port"), &at)) {
			continue;
		}
		(void)snprintf(text, sizeof(text), "%.*s", ID_LEN, (const char *)id.ptr);
		if (strspn(text, "0123456789abcdef") == ID_LEN) {
			(void)snprintf(
			    ret_peer, HELLO_PEER_SIZE, "%s,%u,%s", at.host, at.port, text);
			return true;
		}
	}
	return false;
}

void
hello_format(char ret_hello[HELLO_SIZE], const char *peer, uint64_t current_epoch, const char *name,
    const struct topo_master *master)
{
	(void)snprintf(ret_hello, HELLO_SIZE, "%s,%llu,%s,%s,%u,%llu", peer,
	    (unsigned long long)current_epoch, name, master->at.host, master->at.port,
	    (unsigned long long)master->epoch);
}

int
hello_send(struct link *l, const char *hello, uint64_t timeout_ms, link_reply_fn *fn, void *arg)
{
	return link_send(l, timeout_ms, fn, arg, "PUBLISH", "__sentinel__:hello", hello, NULL);
}
