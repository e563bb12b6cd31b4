#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cli/join.h"

int
join_send(struct tls_shared *t, json_t *doc, struct errmsg *err)
{
	char *text = json_dumps(doc, JSON_COMPACT);
	int rc = -ENOMEM;

	if (text != NULL) {
		rc = tls_shared_send(t, slice_str(text), err);
		explicit_bzero(text, strlen(text));
	}
	free(text);
	json_decref(doc);
	return rc;
}

int
join_receive(struct tls_shared *t, json_t **ret_doc, struct errmsg *err)
{
	json_t *doc = NULL;
	struct buf bytes;
	struct slice text;
	int rc;

	buf_init(&bytes, JOIN_MESSAGE_MAX);
	rc = tls_shared_receive(t, &bytes, err);
	text = buf_slice(&bytes);
	if (rc == 0) {
		doc = json_loadb((const char *)text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
		if (!json_is_object(doc)) {
			json_decref(doc);
			errmsg_set(err, "the other end does not speak our language");
			rc = -EPROTO;
		}
	}
	if (bytes.data != NULL) {
		explicit_bzero(bytes.data, bytes.cap);
	}
	buf_fini(&bytes);
	if (rc == 0) {
		*ret_doc = doc;
	}
	return rc;
}
