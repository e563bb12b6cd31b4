#include "httpd/api.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/jsontext.h"
#include "base/mem.h"
#include "ctl/place.h"
#include "http/gzip.h"
#include "http/response.h"
#include "http/uri.h"
#include "httpd/exchange.h"
#include "httpd/jsonin.h"
#include "httpd/session.h"

#define LAST_ID_MAX ((size_t)1024)
#define SEEN_MAX    ((size_t)1024) /* bytes of a path that may name a row */

static const struct api_row rows[] = {
#define API(verb, path, role, params, begin, streams, words)                                       \
	{HTTP_VERB_##verb, path, API_##role, params, begin, streams, words},
#include "httpd/api.def"
#undef API
};

/* ---- what is asked ---- */

/* Does the path fit the row's? Fills in what stands for {}. */
static bool
fits(const char *pattern, struct slice path, struct slice words[API_PATH_WORDS])
{
	struct slice row = uri_split(slice_str(pattern)).path, want, have;
	size_t used = 0;

	while (uri_next_segment(&row, &want)) {
		if (!uri_next_segment(&path, &have)) {
			return false;
		}
		if (slice_eq(want, "{}") && have.len > 0) {
			words[used++] = have;
		} else if (want.len != have.len || memcmp(want.ptr, have.ptr, have.len) != 0) {
			return false;
		}
	}
	return path.len == 0;
}

static bool
decode(struct buf *text, struct slice encoded, struct slice *ret)
{
	ssize_t len = uri_decoded_len(encoded);

	/* there is room for all of it, so nothing moves */
	if (len < 0 || buf_room(text) < (size_t)len + 1) {
		return false;
	}
	uri_decode_raw(encoded, buf_tail(text));
	*ret = (struct slice){buf_tail(text), (size_t)len};
	buf_tail(text)[len] = '\0';
	buf_commit(text, (size_t)len + 1);
	return true;
}

static bool
is_word_of(const char *words, struct slice name)
{
	while (*words != '\0') {
		size_t len = strcspn(words, " ");

		if (name.len == len && memcmp(name.ptr, words, len) == 0) {
			return true;
		}
		words += len + (words[len] == ' ');
	}
	return false;
}

static bool
read_params(struct api *a, struct slice query)
{
	struct slice name, value;

	while (uri_next_param(&query, &name, &value)) {
		struct api_param *p = &a->params[a->param_count];

		if (name.len == 0 && value.len == 0) {
			continue;
		}
		if (a->param_count == API_PARAMS_MAX) {
			api_fail(a, 400, "a query has at most %d parameters", API_PARAMS_MAX);
			return false;
		}
		if (!decode(&a->text, name, &p->name) || !decode(&a->text, value, &p->value)) {
			api_fail(a, 400,
			    "the query is not encoded as it should be: a '%%' and two digits of "
			    "16");
			return false;
		}
		if (!is_word_of(a->row->params, p->name)) {
			char seen[48];

			(void)snprintf(seen, sizeof(seen), "%.*s",
			    (int)MIN(p->name.len, sizeof(seen) - 1), (const char *)p->name.ptr);
			api_fail(a, 400, "there is no parameter '%s' here; there are: %s", seen,
			    a->row->params[0] != '\0' ? a->row->params : "none");
			return false;
		}
		a->param_count++;
	}
	return true;
}

struct slice
api_param(const struct api *a, const char *name, size_t i)
{
	for (size_t k = 0; k < a->param_count; k++) {
		if (slice_eq(a->params[k].name, name) && i-- == 0) {
			return a->params[k].value;
		}
	}
	return (struct slice){0};
}

bool
api_number(struct api *a, const char *name, uint64_t lo, uint64_t hi, uint64_t otherwise,
    uint64_t *ret_value)
{
	struct slice text = api_param(a, name, 0);

	*ret_value = otherwise;
	if (text.ptr == NULL) {
		return true;
	}
	if (!slice_to_u64(text, ret_value) || *ret_value < lo || *ret_value > hi) {
		api_fail(a, 400, "'%s' must be a number of %llu to %llu", name,
		    (unsigned long long)lo, (unsigned long long)hi);
		return false;
	}
	return true;
}

bool
api_only(struct api *a, const char *names)
{
	const char *key;
	json_t *value;

	json_object_foreach(a->body, key, value)
	{
		if (!is_word_of(names, slice_str(key))) {
			api_fail(a, 400, "the body may have these members: %s",
			    names[0] != '\0' ? names : "none");
			return false;
		}
	}
	return true;
}

const char *
api_methods(struct slice path)
{
	/* which of GET without an end, GET, POST and DELETE there are, as bits */
	static const char *const lists[16] = {[1] = "GET,OPTIONS",
	    [2] = "GET,OPTIONS,HEAD",
	    [4] = "POST,OPTIONS",
	    [2 | 4] = "GET,POST,OPTIONS,HEAD",
	    [2 | 4 | 8] = "GET,POST,DELETE,OPTIONS,HEAD"};
	struct slice words[API_PATH_WORDS];
	unsigned found = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (fits(rows[i].path, path, words)) {
			found |= rows[i].verb == HTTP_VERB_DELETE ? 8U
				 : rows[i].verb == HTTP_VERB_POST ? 4U
				 : rows[i].streams                ? 1U
								  : 2U;
		}
	}
	assert(found == 0 || lists[found] != NULL); /* a row of another kind wants a list above */
	return lists[found];
}

static void
refuse_method(struct api *a)
{
	if (a->x->allow != NULL) {
		api_fail(a, 405, "this path takes %s", a->x->allow);
	} else {
		api_fail(a, 404,
		    "there is nothing at this path: GET /api/v1/openapi.json tells what there is");
	}
}

static void
find_row(struct api *a, enum http_verb verb, struct slice path)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct api_row *row = &rows[i];

		if ((row->verb == verb ||
			(verb == HTTP_VERB_HEAD && row->verb == HTTP_VERB_GET && !row->streams)) &&
		    fits(row->path, path, a->words)) {
			a->row = row;
			return;
		}
	}
	refuse_method(a);
}

/* ---- who asks ---- */

static bool
may(struct api *a, const struct http_request *req)
{
	const struct api_identity *who = &a->who;

	if (a->row->role == API_NOBODY || who->role >= a->row->role) {
		/* a form of another site can make a browser send its cookie, but no header of its own */
		if (a->row->verb != HTTP_VERB_GET && who->has_cookie &&
		    http_header_find(req, "x-holdfast") == NULL) {
			api_fail(a, 403,
			    "a request that changes something and comes with a session's cookie "
			    "must have a header "
			    "X-Holdfast: any value will do");
			return false;
		}
		return true;
	}
	if (who->throttled) {
		api_fail(
		    a, 429, "too many wrong passwords from your address: try again in a minute");
	} else if (who->wrong) {
		api_fail(a, 401, "wrong user or password");
	} else if (who->role == API_NOBODY && who->login) {
		api_fail(a, 401,
		    "log in first: POST /api/v1/session, or HTTP Basic, as one of the users in the "
		    "configuration ([user-NAME])");
	} else if (who->role == API_NOBODY) {
		api_fail(a, 403,
		    "no user is configured ([user-NAME]), so only this host itself may come in "
		    "here, over loopback and no proxy");
	} else {
		api_fail(a, 403,
		    "%s is a viewer and may not do this: it takes a user with role = operator",
		    who->user);
	}
	return false;
}

static bool
read_body(struct api *a, const struct http_request *req)
{
	int err;

	if (a->row->verb != HTTP_VERB_POST) {
		return true;
	}
	if (req->body.len > API_BODY_MAX) {
		api_fail(a, 413, "the body is larger than 16 MiB: send it in several requests");
		return false;
	}
	if (req->body.len == 0) {
		a->body = json_object();
		return true;
	}
	err = jsonin_load(req->body, API_BODY_MAX, &a->body);
	if (err < 0 || !json_is_object(a->body)) {
		api_fail(a, 400, "%s",
		    err == -ERANGE ? JSONIN_BEYOND : "the body must be a JSON object");
		return false;
	}
	return true;
}

static void
read_last_id(struct api *a, const struct http_request *req)
{
	const struct http_header *last = http_header_find(req, "last-event-id");
	json_t *place =
	    last != NULL && last->value.len <= LAST_ID_MAX ? place_parse(last->value, "x") : NULL;

	if (place != NULL) {
		a->last_id = xstrndup((const char *)last->value.ptr, last->value.len);
	}
	json_decref(place);
}

static void on_limit(struct ev_loop *ev, ev_timer *w, int revents);

void
api_take(struct exchange *x, const struct http_request *req)
{
	struct api *a = xcalloc(1, sizeof(*a));
	const struct http_header *dest = http_header_find(req, "sec-fetch-dest");
	const struct http_header *accept = http_header_find(req, "accept-encoding");
	struct uri uri = uri_split(req->target);

	*a = (struct api){.magic = API_MAGIC, .x = x, .type = SLICE_LIT("application/json")};
	ev_init(&a->limit, on_limit);
	a->limit.data = a;
	x->api = a;
	x->state = EXCHANGE_API;
	x->wants_cors = false;
	a->in_begin = true;
	a->quiet_401 = (dest != NULL && slice_eq(dest->value, "empty")) ||
		       http_header_find(req, "x-holdfast") != NULL;
	a->takes_gzip = accept != NULL && gzip_is_accepted(accept->value);
	buf_init(&a->out, API_ANSWER_MAX);
	buf_init(&a->text, API_PARAM_MAX);
	read_last_id(a, req);
	identity_of(x->session, req, &a->who);
	if (uri.path.len + uri.query.len > API_PARAM_MAX / 2 ||
	    buf_reserve(&a->text,
		uri.path.len + uri.query.len + 2 * API_PARAMS_MAX + 2 * API_PATH_WORDS) < 0) {
		api_fail(a, 414, "the address is too long");
		return;
	}
	find_row(a, req->verb, uri.path);
	if (a->row == NULL || !may(a, req) || !read_params(a, uri.query) || !read_body(a, req)) {
		return;
	}
	for (size_t i = 0; i < API_PATH_WORDS && a->words[i].ptr != NULL; i++) {
		if (!decode(&a->text, a->words[i], &a->words[i])) {
			api_fail(a, 400, "the path is not encoded as it should be");
			return;
		}
	}
	a->in_begin = false;
}

/* ---- the answer ---- */

static int
add_headers(const struct api *a, struct http_response *r)
{
	int err = http_response_header(r, "Cache-Control", SLICE_LIT("no-store"));

	if (err == 0) {
		err = http_response_header(r, "X-Content-Type-Options", SLICE_LIT("nosniff"));
	}
	if (err == 0 && a->varies) {
		err = http_response_header(r, "Vary", SLICE_LIT("Accept-Encoding"));
	}
	if (err == 0 && a->is_zipped) {
		err = http_response_header(r, "Content-Encoding", SLICE_LIT("gzip"));
	}
	if (err == 0 && a->cookie[0] != '\0') {
		err = http_response_header(r, "Set-Cookie", slice_str(a->cookie));
	}
	return err;
}

static void
respond(struct api *a)
{
	struct exchange *x = a->x;
	struct http_response r;
	int err;

	x->quiet_401 = a->quiet_401;
	err = exchange_respond(x, &r, a->status, a->type);
	if (err == 0) {
		err = add_headers(a, &r);
	}
	exchange_respond_whole(x, &r, err, buf_slice(&a->out));
}

bool
api_pump(struct api *a)
{
	if (!a->started) {
		a->started = true;
		if (!a->done) {
			a->in_begin = true;
			a->row->begin(a);
		}
		a->in_begin = false;
	}
	if (a->began_stream) {
		return a->ended;
	}
	if (a->done) {
		respond(a);
	}
	return a->done;
}

static void
drop_work(struct api *a)
{
	void *work = a->work;

	ev_timer_stop(loop_ev(a->x->httpd->loop), &a->limit);
	a->work = NULL;
	if (work != NULL) {
		a->drop(work);
	}
}

void
api_set_work(struct api *a, void *work, void (*drop)(void *work))
{
	a->work = work;
	a->drop = drop;
	if (work == NULL) {
		ev_timer_stop(loop_ev(a->x->httpd->loop), &a->limit);
	}
}

static void
on_limit(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct api *a = OBJ_CAST((struct api *)w->data, API_MAGIC);

	(void)ev;
	(void)revents;
	a->late(a->work);
}

void
api_limit_work(struct api *a, void (*late)(void *work))
{
	a->late = late;
	ev_timer_set(&a->limit, (double)a->seconds, 0.);
	ev_timer_start(loop_ev(a->x->httpd->loop), &a->limit);
}

void
api_done(struct api *a, unsigned status)
{
	a->status = status;
	a->done = true;
	if (!a->in_begin) {
		session_go_on(a->x->session);
	}
}

void
api_zip(struct api *a)
{
	struct buf zipped;

	a->varies = true;
	if (!a->takes_gzip) {
		return;
	}
	buf_init(&zipped, API_ANSWER_MAX);
	if (gzip_add(&zipped, buf_slice(&a->out)) == 0 && buf_len(&zipped) < buf_len(&a->out)) {
		buf_fini(&a->out);
		a->out = zipped;
		a->is_zipped = true;
	} else {
		buf_fini(&zipped);
	}
}

static int
add_part(const char *bytes, size_t len, void *arg)
{
	return buf_add(arg, bytes, len);
}

void
api_done_json(struct api *a, unsigned status, json_t *doc)
{
	buf_clear(&a->out);
	if (json_dump_callback(doc, add_part, &a->out, JSON_COMPACT | JSON_REAL_PRECISION(12)) !=
		0 ||
	    buf_add_str(&a->out, "\n") < 0) {
		json_decref(doc);
		api_fail(a, 507, "the answer is too large; ask for a part of it");
		return;
	}
	json_decref(doc);
	api_done(a, status);
}

void
api_fail(struct api *a, unsigned status, const char *fmt, ...)
{
	va_list ap;
	char *text;
	int err;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	buf_clear(&a->out);
	a->type = SLICE_LIT("application/json");
	err = buf_add_str(&a->out, "{\"error\":");
	if (err == 0) {
		err = jsontext_add_string(&a->out, slice_str(text));
	}
	if (err == 0) {
		err = buf_addf(&a->out, ",\"status\":%u}\n", status);
	}
	free(text);
	if (err < 0) {
		buf_clear(&a->out);
	}
	api_done(a, status);
}

void
api_free(struct api **ap)
{
	struct api *a = *ap;

	*ap = NULL;
	if (a != NULL) {
		drop_work(a);
		json_decref(a->body);
		free(a->last_id);
		buf_fini(&a->text);
		buf_fini(&a->out);
		a->magic = 0;
		free(a);
	}
}

size_t
api_held(const struct api *a)
{
	return a->text.cap + a->out.cap;
}

bool
api_is_stream(const struct api *a)
{
	return a->row != NULL && a->row->streams && !a->done;
}
