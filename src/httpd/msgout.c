#include "httpd/msgout.h"

#include <errno.h>
#include <string.h>

#include "base/jsontext.h"

/* From here on a `str` and a `bin` have headers of the same length, so one can become the other afterwards. */
#define SHORT_MAX 31

/* First bytes of the format (msgpack's specification, "formats"). */
enum { FIXMAP = 0x80, STR8 = 0xd9, STR32 = 0xdb, STR_TO_BIN = 0xd9 - 0xc4 };

static int
write_out(void *data, const char *bytes, size_t len)
{
	struct msgout *m = data;

	if (m->err == 0) {
		m->err = buf_add(m->out, bytes, len);
	}
	return m->err;
}

static void
put_string(struct msgout *m, struct slice s)
{
	if (jsontext_is_utf8(s)) {
		(void)msgpack_pack_str(&m->packer, s.len);
		(void)msgpack_pack_str_body(&m->packer, s.ptr, s.len);
	} else {
		(void)msgpack_pack_bin(&m->packer, s.len);
		(void)msgpack_pack_bin_body(&m->packer, s.ptr, s.len);
	}
}

static void
put_nil(struct msgout *m)
{
	(void)msgpack_pack_nil(&m->packer);
}

/* Names where the shape gives some. False: this element is left out. */
static bool
begin_element(struct msgout *m, enum resp_type type)
{
	struct walk_frame *f = walk_top(&m->walk);
	const char *name;

	if (walk_leaves_out(f, type)) {
		return false;
	}
	name = walk_name(f, type);
	if (name != NULL) {
		put_string(m, slice_str(name));
		f->pairs++;
	} else if (f != NULL && f->mode == WALK_PAIRS && !resp_type_is_aggregate(type)) {
		put_string(m, SLICE_LIT("")); /* no pair */
	}
	return true;
}

static void
close_frame(struct msgout *m, const struct walk_frame *f)
{
	if (f->mode == WALK_TUPLE && m->err == 0) {
		m->out->data[m->out->start + f->mark] = (uint8_t)(FIXMAP | f->pairs);
	} else if (f->mode == WALK_MAP && f->at % 2 != 0) {
		put_nil(m); /* a key without its value */
	} else if (f->mode == WALK_PAIR && f->at < 2) {
		if (f->at == 0) {
			put_string(m, SLICE_LIT(""));
		}
		put_nil(m);
	}
}

static void
end_element(struct msgout *m)
{
	struct walk_frame *f;

	while ((f = walk_top(&m->walk)) != NULL) {
		f->at++;
		if (--f->left > 0) {
			return;
		}
		close_frame(m, f);
		m->walk.depth--;
	}
}

static void
open_frame(struct msgout *m, enum resp_type type, uint64_t count)
{
	struct walk_frame *f = walk_open(&m->walk, type, count);

	if (f == NULL || f->left > UINT32_MAX) {
		m->err = -EBADMSG;
		return;
	}
	switch ((enum walk_mode)f->mode) {
	case WALK_ARRAY:
		(void)msgpack_pack_array(&m->packer, f->left);
		break;
	case WALK_MAP:
		(void)msgpack_pack_map(&m->packer, (f->left + 1) / 2);
		break;
	case WALK_PLACE:
	case WALK_PAIRS:
		(void)msgpack_pack_map(&m->packer, f->left);
		break;
	case WALK_TUPLE:
		/* how many of its few fields there are is known at its end */
		f->mark = buf_len(m->out);
		(void)msgpack_pack_map(&m->packer, 0);
		break;
	case WALK_PAIR:
		break;
	}
	if (f->left == 0) {
		close_frame(m, f);
		m->walk.depth--;
		end_element(m);
	}
}

static void
begin_string(struct msgout *m, enum resp_type type, int64_t number, bool wanted)
{
	const struct walk_frame *f = walk_top(&m->walk);

	m->skips = !wanted;
	m->is_info = type == RESP_BULK && f == NULL && m->walk.shape->kind == SHAPE_INFO;
	m->collects =
	    m->is_info || (type != RESP_BULK && type != RESP_VERBATIM) || number <= SHORT_MAX;
	if (!wanted) {
		return;
	}
	if (!walk_is_key_place(f) && (type == RESP_ERROR || (type == RESP_SIMPLE && f == NULL))) {
		(void)msgpack_pack_array(&m->packer, 2);
		(void)(type == RESP_SIMPLE ? msgpack_pack_true(&m->packer)
					   : msgpack_pack_false(&m->packer));
	}
	if (!m->collects) {
		m->string_at = buf_len(m->out);
		(void)msgpack_pack_str(&m->packer, (size_t)number);
	}
}

static void
on_item(void *arg, enum resp_type type, int64_t number)
{
	struct msgout *m = arg;
	bool wanted;

	if (m->err != 0) {
		return;
	}
	if (walk_is_out_of_place(walk_top(&m->walk))) {
		m->err = -EBADMSG;
		return;
	}
	wanted = begin_element(m, type);
	if (resp_type_is_aggregate(type)) {
		if (!wanted) {
			m->err = -EBADMSG;
			return;
		}
		open_frame(m, type, (uint64_t)number);
		return;
	}
	if (resp_type_has_bytes(type)) {
		begin_string(m, type, number, wanted);
		return;
	}
	if (wanted && type == RESP_INT) {
		(void)msgpack_pack_int64(&m->packer, number);
	} else if (wanted && type == RESP_BOOL) {
		(void)(number != 0 ? msgpack_pack_true(&m->packer)
				   : msgpack_pack_false(&m->packer));
	} else if (wanted) {
		put_nil(m);
	}
	end_element(m);
}

static void
on_bytes(void *arg, struct slice bytes)
{
	struct msgout *m = arg;

	if (m->err == 0 && !m->skips) {
		m->err = buf_add_slice(m->collects ? &m->scratch : m->out, bytes);
	}
}

static void
put_info(struct msgout *m)
{
	struct slice text = buf_slice(&m->scratch), key, value;
	size_t count = 0;

	while (walk_info_next(&text, &key, &value)) {
		count++;
	}
	(void)msgpack_pack_map(&m->packer, count);
	text = buf_slice(&m->scratch);
	while (walk_info_next(&text, &key, &value)) {
		put_string(m, key);
		put_string(m, value);
	}
}

/* The string stands, as a `str`: it becomes a `bin` when it is no UTF-8. */
static void
check_string(struct msgout *m)
{
	uint8_t *header = m->out->data + m->out->start + m->string_at;
	size_t header_len = *header == STR32 ? 5 : *header == STR8 ? 2 : 3;
	size_t len = buf_len(m->out) - m->string_at;

	if (!jsontext_is_utf8((struct slice){header + header_len, len - header_len})) {
		*header = (uint8_t)(*header - STR_TO_BIN);
	}
}

static void
on_end(void *arg)
{
	struct msgout *m = arg;

	if (m->err != 0) {
		return;
	}
	if (m->skips) {
		/* nothing of it was kept */
	} else if (m->is_info) {
		put_info(m);
		buf_fini(&m->scratch);
	} else if (m->collects) {
		put_string(m, buf_slice(&m->scratch));
		buf_clear(&m->scratch);
	} else {
		check_string(m);
	}
	end_element(m);
}

void
msgout_init(struct msgout *m, struct buf *out, const struct shape *shape)
{
	memset(m, 0, offsetof(struct msgout, walk.frames));
	m->out = out;
	m->walk.shape = shape;
	buf_init(&m->scratch, 0);
	msgpack_packer_init(&m->packer, m, write_out);
}

void
msgout_fini(struct msgout *m)
{
	buf_fini(&m->scratch);
}

void
msgout_begin(struct msgout *m, struct slice command)
{
	(void)msgpack_pack_map(&m->packer, 1);
	put_string(m, command);
}

const struct resp_reader_ops msgout_ops = {
    .on_item = on_item, .on_bytes = on_bytes, .on_end = on_end};
