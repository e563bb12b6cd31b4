#include "httpd/call.h"

#include <errno.h>
#include <string.h>

#include "backend/lane.h"
#include "backend/metrics.h"
#include "http/response.h"
#include "http/uri.h"
#include "httpd/hub.h"
#include "resp/write.h"

#define ARGV_KEPT 16 /* arguments that the command table may look at */

static int
refuse(struct http_fault *fault, unsigned status, const char *why)
{
	*fault = (struct http_fault){.status = status, .why = why};
	return -EBADMSG;
}

/* Decodes `encoded` to the end of `text`, which has room for it, so that earlier slices stay valid. */
static int
keep(struct buf *text, struct slice encoded, struct slice *ret_kept)
{
	const uint8_t *at = buf_tail(text);
	int err = uri_decode(encoded, text);

	if (err == 0) {
		*ret_kept = (struct slice){at, (size_t)(buf_tail(text) - at)};
	}
	return err;
}

/* ---- the form of the reply ---- */

static bool
is_function_name(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.ptr[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			c == '_' || c == '$' || c == '.')) {
			return false;
		}
	}
	return s.len > 0;
}

static int
take_type(struct call *call, struct slice value, struct http_fault *fault)
{
	if (value.len == 0 || !http_value_is_safe(value)) {
		return refuse(fault, 400, "type must be a content type, such as image/gif");
	}
	call->content_type = value;
	call->wish.kind = RENDER_BARE;
	return 0;
}

static int
take_jsonp(struct call *call, struct slice value, struct http_fault *fault)
{
	if (!is_function_name(value)) {
		return refuse(fault, 400,
		    "jsonp and callback take the name of a function: letters, digits, _, $ and .");
	}
	call->wish.jsonp = value;
	return 0;
}

static int
take_separator(struct call *call, struct slice value, struct http_fault *fault)
{
	(void)fault;
	call->wish.separator = value;
	return 0;
}

static int
take_encoding(struct call *call, struct slice value, struct http_fault *fault)
{
	if (!slice_eq(value, "base64")) {
		return refuse(fault, 400, "enc takes base64");
	}
	call->wish.base64 = true;
	return 0;
}

static int
take_flag(struct slice value, bool *ret_flag, struct http_fault *fault)
{
	if (!slice_eq(value, "0") && !slice_eq(value, "1")) {
		return refuse(fault, 400, "status and atomic take 1 or 0");
	}
	*ret_flag = slice_eq(value, "1");
	return 0;
}

static int
take_status(struct call *call, struct slice value, struct http_fault *fault)
{
	return take_flag(value, &call->maps_status, fault);
}

static int
take_atomic(struct call *call, struct slice value, struct http_fault *fault)
{
	return take_flag(value, &call->atomic, fault);
}

static int
take_timeout(struct call *call, struct slice value, struct http_fault *fault)
{
	if (!slice_to_u64(value, &call->timeout_ms) || call->timeout_ms == 0 ||
	    call->timeout_ms > CALL_TIMEOUT_MAX) {
		return refuse(fault, 400, "timeout_ms takes a number from 1 to 3600000");
	}
	return 0;
}

/* What of a query has a meaning; everything else is ignored, as Webdis does. */
static const struct {
	const char *name;
	int (*take)(struct call *call, struct slice value, struct http_fault *fault);
} params[] = {{"type", take_type}, {"jsonp", take_jsonp}, {"callback", take_jsonp},
    {"sep", take_separator}, {"enc", take_encoding}, {"status", take_status},
    {"atomic", take_atomic}, {"timeout_ms", take_timeout}};

static int
read_query(struct call *call, struct slice query, struct buf *text, struct http_fault *fault)
{
	struct slice name, value, kept;

	while (uri_next_param(&query, &name, &value)) {
		for (size_t i = 0; i < ARRAY_LEN(params); i++) {
			int err;

			if (!slice_eq(name, params[i].name)) {
				continue;
			}
			if (value.len > CALL_PARAM_MAX) {
				return refuse(fault, 400, "a value in the query is too long");
			}
			if (keep(text, value, &kept) < 0) {
				return refuse(fault, 400,
				    "a % in the query must be followed by two hex digits");
			}
			err = params[i].take(call, kept, fault);
			if (err < 0) {
				return err;
			}
		}
	}
	return 0;
}

/* ".txt" at the end of the last segment: chooses the format, and is cut off. */
static void
read_extension(struct call *call, struct slice *path)
{
	const struct format *f = format_default();

	for (size_t i = path->len; i > 1 && path->ptr[i - 1] != '/'; i--) {
		if (path->ptr[i - 1] == '.') {
			const struct format *found =
			    format_find((struct slice){path->ptr + i, path->len - i});

			if (found != NULL) {
				f = found;
				path->len = i - 1;
			}
			break;
		}
	}
	call->content_type = f->content_type;
	call->wish.kind = f->kind;
}

/* ---- the command ---- */

/* A first segment of digits, with more behind it, is a database. */
static int
read_database(struct call *call, struct slice *path, struct http_fault *fault)
{
	uint64_t number = 0;
	size_t i = 0;

	while (i < path->len && path->ptr[i] >= '0' && path->ptr[i] <= '9') {
		number = number * 10 + (uint64_t)(path->ptr[i] - '0');
		if (number > UINT16_MAX) {
			return refuse(fault, 400, "a database is a number up to 65535");
		}
		i++;
	}
	if (i == 0 || (i < path->len && path->ptr[i] != '/')) {
		return 0;
	}
	if (path->len - i <= 1) {
		return refuse(fault, 400, "a command must follow the number of the database");
	}
	call->database = (uint32_t)number;
	path->ptr += i + 1;
	path->len -= i + 1;
	return 0;
}

static size_t
count_segments(struct slice path)
{
	struct slice segment;
	size_t count = 0;

	while (uri_next_segment(&path, &segment)) {
		count++;
	}
	return count;
}

/* "$LEN\r\n" for an argument, and room for its bytes and what ends it. */
static int
begin_argument(struct buf *resp, size_t len, size_t room)
{
	int err = resp_add_header(resp, '$', len);

	return err < 0 ? err : buf_reserve(resp, room + 2);
}

static int
add_segment(struct buf *resp, struct slice segment, struct slice *ret_argument)
{
	ssize_t len = uri_decoded_len(segment);
	int err;

	if (len < 0) {
		return -EINVAL;
	}
	err = begin_argument(resp, (size_t)len, (size_t)len);
	if (err < 0) {
		return err;
	}
	uri_decode_raw(segment, buf_tail(resp));
	/* an offset for now: the buffer may move until all is written */
	*ret_argument = (struct slice){(const uint8_t *)NULL, (size_t)len};
	buf_commit(resp, (size_t)len);
	return buf_add(resp, "\r\n", 2);
}

static int
add_body(struct call *call, struct slice body, bool is_last, struct buf *resp)
{
	int err;

	if (is_last && body.len >= CALL_TAIL_MIN) {
		call->tail = body;
		return begin_argument(resp, body.len, 0);
	}
	err = begin_argument(resp, body.len, body.len);
	if (err == 0) {
		err = buf_add_slice(resp, body);
	}
	return err < 0 ? err : buf_add(resp, "\r\n", 2);
}

/* ?args=EX/60: what comes behind the body of a PUT, still encoded. */
static struct slice
trailing_arguments(struct slice query)
{
	struct slice name, value;

	while (uri_next_param(&query, &name, &value)) {
		if (slice_eq(name, "args")) {
			return value;
		}
	}
	return (struct slice){0};
}

/* Writes all arguments, then looks the command up by the first of them. */
static int
write_command(struct call *call, struct slice path, const struct slice *body, struct slice trailing,
    struct buf *resp, struct http_fault *fault)
{
	struct slice argv[ARGV_KEPT], segment, argument;
	size_t ends[ARGV_KEPT], start = buf_len(resp), n = 0;
	int err = resp_add_header(resp, '*', call->argc);

	while (err == 0 && uri_next_segment(&path, &segment)) {
		err = add_segment(resp, segment, &argument);
		if (n < ARGV_KEPT) {
			argv[n] = argument;
			ends[n++] = buf_len(resp) - start - 2;
		}
	}
	if (err == 0 && body != NULL) {
		err = add_body(call, *body, trailing.len == 0, resp);
	}
	while (err == 0 && body != NULL && uri_next_segment(&trailing, &segment)) {
		err = add_segment(resp, segment, &argument);
	}
	if (err == -EINVAL) {
		return refuse(fault, 400,
		    "a % in the path must be followed by two hex digits; %25 is "
		    "a percent sign");
	}
	if (err < 0) {
		return err;
	}
	for (size_t i = 0; i < n; i++) {
		argv[i].ptr = buf_slice(resp).ptr + start + ends[i] - argv[i].len;
	}
	call->command = command_find(argv, n);
	return 0;
}

int
call_read(const struct http_request *req, uint32_t default_database, struct buf *resp,
    struct buf *text, struct call *ret_call, struct http_fault *ret_fault)
{
	struct uri url = uri_split(req->target), source = url;
	bool from_body = req->verb == HTTP_VERB_POST && req->body.len > 0;
	bool has_body = req->verb == HTTP_VERB_PUT && (req->has_length || req->chunked);
	struct slice first = {0}, rest, trailing;
	int err;

	*ret_call = (struct call){.database = default_database};
	if (from_body) {
		source = uri_split(req->body);
	}
	read_extension(ret_call, &source.path);
	err = read_database(ret_call, &source.path, ret_fault);
	if (err < 0) {
		return err;
	}
	if (from_body && source.path.len > 0 && source.path.ptr[0] == '[') {
		return refuse(ret_fault, 400,
		    "a body that is JSON goes to /, /N, /MULTI or /N/MULTI, with the header "
		    "Content-Type: "
		    "application/json; elsewhere or without it the body is a path, such as "
		    "GET/key");
	}
	rest = source.path;
	(void)uri_next_segment(&rest, &first);
	if (first.len == 0) {
		return refuse(ret_fault, 400, "no command: a request looks like /GET/key");
	}
	trailing = trailing_arguments(url.query);
	if (trailing.len > 0 && !has_body) {
		return refuse(ret_fault, 400,
		    "args goes with the body of a PUT; here all arguments stand in the path, as in "
		    "/SET/key/value/EX/60");
	}
	ret_call->argc = count_segments(source.path) + has_body + count_segments(trailing);
	if (ret_call->argc > CALL_ARGS_MAX) {
		return refuse(ret_fault, 400, "too many arguments");
	}
	buf_clear(text);
	err = buf_reserve(text, first.len + url.query.len + (from_body ? source.query.len : 0) + 1);
	if (err < 0) {
		return err;
	}
	if (keep(text, first, &ret_call->wish.command) < 0) {
		return refuse(ret_fault, 400, "a % must be followed by two hex digits");
	}
	ret_call->wish.shape = shape_of(ret_call->wish.command, ret_call->argc);
	err = read_query(ret_call, url.query, text, ret_fault);
	if (err == 0 && from_body) {
		err = read_query(ret_call, source.query, text, ret_fault);
	}
	return err < 0 ? err
		       : write_command(ret_call, source.path, has_body ? &req->body : NULL,
			     trailing, resp, ret_fault);
}

/* "7/MULTI" → "MULTI" and "7"; "7" → nothing and "7". */
static void
cut_database(struct slice *path, struct slice *ret_digits)
{
	size_t n = 0;

	*ret_digits = (struct slice){path->ptr, 0};
	while (n < path->len && path->ptr[n] >= '0' && path->ptr[n] <= '9') {
		n++;
	}
	if (n > 0 && (n == path->len || path->ptr[n] == '/')) {
		ret_digits->len = n;
		n += n < path->len;
		path->ptr += n;
		path->len -= n;
	}
}

bool
call_is_json(const struct http_request *req, bool *ret_atomic)
{
	static const char json[] = "application/json";
	const struct http_header *type = http_header_find(req, "content-type");
	struct slice path = uri_split(req->target).path, database;

	cut_database(&path, &database);
	*ret_atomic = slice_caseeq(path, "MULTI");
	if (path.len > 0 && !*ret_atomic) {
		return false;
	}
	return req->verb == HTTP_VERB_POST && type != NULL && type->value.len >= sizeof(json) - 1 &&
	       strncasecmp((const char *)type->value.ptr, json, sizeof(json) - 1) == 0 &&
	       (type->value.len == sizeof(json) - 1 || type->value.ptr[sizeof(json) - 1] == ';' ||
		   type->value.ptr[sizeof(json) - 1] == ' ');
}

int
call_read_json(const struct http_request *req, uint32_t default_database, size_t room,
    struct buf *text, struct call *ret_call, struct http_fault *ret_fault)
{
	struct uri url = uri_split(req->target);
	struct slice digits;
	uint64_t database = default_database;
	int err;

	*ret_call = (struct call){
	    .content_type = format_default()->content_type, .wish.kind = format_default()->kind};
	cut_database(&url.path, &digits);
	if (digits.len > 0 && (!slice_to_u64(digits, &database) || database > UINT16_MAX)) {
		return refuse(ret_fault, 400, "a database is a number up to 65535");
	}
	ret_call->database = (uint32_t)database;
	buf_clear(text);
	err = buf_reserve(text, url.query.len + room + 1);
	if (err == 0) {
		err = read_query(ret_call, url.query, text, ret_fault);
	}
	if (err == 0 && (ret_call->wish.kind != RENDER_JSON || ret_call->wish.jsonp.len > 0)) {
		return refuse(
		    ret_fault, 400, "a JSON body is answered in JSON: no type, jsonp or callback");
	}
	return err;
}

int
call_read_resp(struct slice resp, uint32_t database, enum render_kind kind, struct buf *text,
    struct call *ret_call)
{
	struct resp_cursor c = {resp};
	struct resp_item item;
	struct slice argv[ARGV_KEPT];
	size_t n = 0;
	int err;

	*ret_call = (struct call){.database = database, .wish.kind = kind};
	(void)resp_cursor_next(&c, &item);
	ret_call->argc = (size_t)item.number;
	while (n < ARGV_KEPT && resp_cursor_next(&c, &item)) {
		argv[n++] = item.str;
	}
	ret_call->command = command_find(argv, n);
	ret_call->wish.shape = shape_of(argv[0], ret_call->argc);
	buf_clear(text);
	err = buf_add_slice(text, argv[0]);
	ret_call->wish.command = buf_slice(text);
	return err;
}

/* Without a channel it is answered once, with an error. */
static int
admit_stream(struct call *call, bool session, struct http_fault *fault)
{
	enum hub_kind kind;
	bool subscribes;

	if (hub_kind_of(call->command->id, &kind, &subscribes) && (subscribes || session)) {
		call->way = call->argc > 1 ? CALL_STREAM : CALL_OWN;
		return 0;
	}
	*fault = (struct http_fault){.status = 403,
	    .why = "this command is about the state of a connection, and over HTTP each request "
		   "stands "
		   "alone; use a "
		   "WebSocket for subscriptions that change, or connect to the proxy"};
	return -EACCES;
}

/* What a WebSocket may do with the state of its connection. */
static bool
is_session_command(const struct command *c)
{
	switch (c->id) {
	case CMD_SELECT:
	case CMD_MULTI:
	case CMD_EXEC:
	case CMD_DISCARD:
	case CMD_WATCH:
	case CMD_UNWATCH:
		return true;
	default:
		return false;
	}
}

/* Why a command about the state of a connection is refused, and what does here what it is for. */
static const char *
refusal_of(const struct command *c)
{
	switch (c->id) {
	case CMD_MULTI:
	case CMD_EXEC:
	case CMD_DISCARD:
	case CMD_WATCH:
	case CMD_UNWATCH:
		return "over HTTP each request stands alone, and a transaction is one: POST its "
		       "commands to /MULTI as a JSON array with Content-Type: application/json; "
		       "or use a WebSocket, which knows MULTI and WATCH";
	case CMD_SELECT:
		return "over HTTP each request stands alone: its database stands first in the "
		       "path, as in /3/GET/key; a WebSocket knows SELECT";
	case CMD_AUTH:
	case CMD_HELLO:
		return "over HTTP each request stands alone and brings its credentials as HTTP "
		       "Basic: those of an access rule (acl-NAME) or, with http.redis_users, of a "
		       "user of Redis";
	default:
		return "this command is about the state of a connection, and over HTTP each "
		       "request stands alone; connect to the proxy to use it";
	}
}

int
call_admit(struct call *call, const char *const *allowed, size_t allowed_count, bool session,
    struct http_fault *ret_fault)
{
	const struct command *c = call->command;

	call->way = CALL_OWN;
	call->lane_flags = metrics_command(c) << LANE_COMMAND_SHIFT;
	if (c == NULL) {
		return 0;
	}
	if (c->flags & CMD_REFUSED && !command_is_allowed(c, allowed, allowed_count)) {
		*ret_fault = (struct http_fault){.status = 403,
		    .why = "this command is refused here, since it could "
			   "take the server out of the cluster's control; "
			   "name it in proxy.allow to let it through"};
		return -EACCES;
	}
	if (c->flags & CMD_PUBSUB) {
		return admit_stream(call, session, ret_fault);
	}
	if (session && is_session_command(c)) {
		call->way = CALL_SESSION;
		return 0;
	}
	if ((c->flags & (CMD_SESSION | CMD_OWN)) != 0 && (c->flags & CMD_CLIENTS) == 0) {
		*ret_fault = (struct http_fault){.status = 403, .why = refusal_of(c)};
		return -EACCES;
	}
	if (!(c->flags & CMD_BLOCKING)) {
		call->way = CALL_SHARED;
	}
	call->lane_flags |= c->flags & CMD_READ ? LANE_READ : 0;
	return 0;
}
