#include "httpd/answer.h"

#include <string.h>

#include "base/clock.h"
#include "base/jsontext.h"
#include "base/log.h"
#include "conf/conf.h"
#include "backend/worker.h"
#include "httpd/exchange.h"
#include "httpd/format.h"
#include "httpd/route.h"
#include "httpd/session.h"
#include "httpd/ws.h"

static const struct slice json_type = {(const uint8_t *)"application/json", 16};
static const struct slice text_type = {(const uint8_t *)"text/plain; charset=utf-8", 25};

/* A response with a body that is there. Without memory there is none, and the connection ends. */
static void
respond(struct exchange *x, unsigned status, struct slice type, struct slice body)
{
	struct http_response r;
	int err = exchange_respond(x, &r, status, type);

	if (err == 0 && status == 426) {
		err = http_response_header(&r, "Upgrade", SLICE_LIT("websocket"));
	}
	if (err == 0 && status == 426) {
		err = http_response_header(&r, "Connection", SLICE_LIT("Upgrade"));
	}
	if (err == 0 && status == 426) {
		err = http_response_header(&r, "Sec-WebSocket-Version", SLICE_LIT("13"));
	}
	exchange_respond_whole(x, &r, err, body);
}

void
answer_error(struct exchange *x, unsigned status, const char *why)
{
	struct buf body;
	int err = 0;

	if (x->session->ws != NULL) {
		x->answered = status;
		x->session->broken = ws_answer_error(x->session->ws, status, why) < 0;
		return;
	}
	buf_init(&body, 0);
	if (why[0] != '\0') {
		err = buf_add_str(&body, "{\"error\":");
		if (err == 0) {
			err = jsontext_add_string(&body, slice_str(why));
		}
		if (err == 0) {
			err = buf_addf(&body, ",\"status\":%u}\n", status);
		}
	}
	if (err < 0) {
		buf_clear(&body);
	}
	respond(x, status, why[0] != '\0' ? json_type : x->call.content_type, buf_slice(&body));
	buf_fini(&body);
}

void
answer_fault(struct exchange *x)
{
	char peer[ENDPOINT_TEXT_SIZE];

	log_peer(x->fault.warns ? LOG_WARN : LOG_INFO,
	    "request refused status=%u client=%s why=\"%s\"", x->fault.status,
	    conn_peer(x->session->conn, peer), x->fault.why);
	answer_error(x, x->fault.status, x->fault.why);
}

/* `err`: of what was written of the head so far. */
static void
end_without_body(struct exchange *x, struct http_response *r, int err)
{
	if (err == 0) {
		err = http_response_known(r, NULL, false, 0);
	}
	if (err < 0) {
		http_response_abort(r);
		x->session->broken = true;
	}
}

/* Also what a browser asks before it lets a page of another site send anything but the plainest request. */
void
answer_options(struct exchange *x)
{
	struct http_response r;
	const char *allow = x->allow != NULL ? x->allow : ANSWER_ALLOW;
	int err = exchange_respond(x, &r, 200, (struct slice){0});

	if (err == 0) {
		err = http_response_header(&r, "Allow", slice_str(allow));
	}
	if (err == 0 && x->wants_cors) {
		err = http_response_header(&r, "Access-Control-Allow-Methods", slice_str(allow));
	}
	if (err == 0 && x->wants_cors) {
		err = http_response_header(&r, "Access-Control-Allow-Headers",
		    SLICE_LIT("X-Requested-With, Content-Type, Authorization"));
	}
	end_without_body(x, &r, err);
}

void
answer_elsewhere(struct exchange *x)
{
	struct http_response r;
	int err = exchange_respond(x, &r, 302, (struct slice){0});

	if (err == 0) {
		err = http_response_header(&r, "Location", buf_slice(&x->text));
	}
	end_without_body(x, &r, err);
}

void
answer_health(struct exchange *x)
{
	const struct httpd *h = x->httpd;
	char text[256];
	struct buf body;

	buf_init(&body, sizeof(text));
	if (buf_addf(&body,
		"{\"status\":\"ok\",\"name\":\"%.64s\",\"version\":\"%s\",\"uptime_ms\":%llu}\n",
		worker_name(h->worker), PACKAGE_VERSION,
		(unsigned long long)(clock_mono_ms() - h->started_ms)) < 0) {
		buf_clear(&body);
	}
	respond(x, 200, json_type, buf_slice(&body));
	buf_fini(&body);
}

void
answer_ready(struct exchange *x)
{
	const struct httpd *h = x->httpd;
	struct endpoint master;
	bool ready = !h->draining && backend_master(h->backend, &master);
	struct buf body;
	int err;

	buf_init(&body, 0);
	err = buf_addf(
	    &body, "{\"ready\":%s,\"%s\":", ready ? "true" : "false", ready ? "master" : "reason");
	if (err == 0) {
		err =
		    jsontext_add_string(&body, slice_str(ready         ? ENDPOINT_TEXT(&master)
							 : h->draining ? "this process is stopping"
								       : h->why_not));
	}
	if (err == 0) {
		err = buf_add_str(&body, "}\n");
	}
	if (err < 0) {
		buf_clear(&body);
	}
	respond(x, ready ? 200 : 503, json_type, buf_slice(&body));
	buf_fini(&body);
}

/* A page of no origin that http.cors_origin names is let in here either. */
void
answer_crossdomain(struct exchange *x)
{
	const char *origin = x->httpd->rules.cors_origin;
	const char *host =
	    origin != NULL && strstr(origin, "://") != NULL ? strstr(origin, "://") + 3 : origin;
	struct buf body;
	int err;

	buf_init(&body, 0);
	err = buf_add_str(&body, "<?xml version=\"1.0\"?>\n<cross-domain-policy>\n");
	if (err == 0 && host != NULL && strpbrk(host, "<>&\"") == NULL) {
		err = buf_addf(&body, "<allow-access-from domain=\"%s\" />\n", host);
	}
	if (err == 0) {
		err = buf_add_str(&body, "</cross-domain-policy>\n");
	}
	if (err < 0) {
		buf_clear(&body);
	}
	respond(x, 200, SLICE_LIT("application/xml"), buf_slice(&body));
	buf_fini(&body);
}

void
answer_root(struct exchange *x)
{
	static const char text[] =
	    "Holdfast: Redis over HTTP. There is nothing at this path; try\n"
	    "\n"
	    "  GET  /SET/hello/world          a command and its arguments, %xx-encoded\n"
	    "  GET  /GET/hello                {\"GET\":\"world\"}\n"
	    "  GET  /GET/hello.txt            the value alone; also .raw .html .xml .png .jpg and "
	    "so on\n"
	    "  PUT  /SET/hello                the body is the last argument\n"
	    "  POST /                         the body is the command: SET/hello/world\n"
	    "  GET  /7/GET/hello              in database 7\n"
	    "  GET  /healthz, /readyz         is the process up, does a master take writes\n";

	respond(x, 404, text_type, SLICE_LIT(text));
}

void
answer_nothing_here(struct exchange *x)
{
	answer_error(x, 404, "");
}
