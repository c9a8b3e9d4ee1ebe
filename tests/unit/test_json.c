/* Messages as JSON and as text. */
#include "image_try.h"

#include "base/str.h"
#include "image/json.h"

static void assert_string(const char *bytes, size_t len, const char *want)
{
	cleanup_text struct text t = {0};

	json_string(&t, bytes, len);
	assert_false(t.failed);
	assert_string_equal(t.bytes, want);
}

static void test_strings(void **state)
{
	(void)state;
#define STRING(in, want) assert_string(in, sizeof in - 1, want)
	STRING("", "\"\"");
	STRING("plain", "\"plain\"");
	STRING("\"\\/\b\f\n\r\t", "\"\\\"\\\\/\\b\\f\\n\\r\\t\"");
	STRING("\x01\x1f\x7f\0x", "\"\\u0001\\u001f\\u007f\\u0000x\"");
	STRING("z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x98\x80",
	       "\"z\xc3\xbcrich \xe2\x82\xac \xf0\x9f\x98\x80\"");
	STRING("a\xff" "b", "\"a\\udcffb\"");
	STRING("\xc3", "\"\\udcc3\"");
	STRING("\xe2\x82", "\"\\udce2\\udc82\"");
	STRING("\xc0\xaf", "\"\\udcc0\\udcaf\"");
	STRING("\xed\xa0\x80", "\"\\udced\\udca0\\udc80\"");
	STRING("\xf4\x90\x80\x80", "\"\\udcf4\\udc90\\udc80\\udc80\"");
#undef STRING
}

static void assert_json(const ProtobufCMessage *m, const char *want)
{
	cleanup_text struct text t = {0};

	json_message(&t, m);
	assert_false(t.failed);
	assert_string_equal(t.bytes, want);
}

/* For records that may get more fields. */
static void assert_json_has(const ProtobufCMessage *m, const char *want)
{
	cleanup_text struct text t = {0};

	json_message(&t, m);
	assert_int_equal(t.bytes[0], '{');
	assert_int_equal(t.bytes[t.len - 1], '}');
	if (!strstr(t.bytes, want))
		fail_msg("'%s' is not in '%s'", want, t.bytes);
}

static void assert_human(const ProtobufCMessage *m, unsigned indent, const char *want)
{
	cleanup_text struct text t = {0};

	json_message_human(&t, m, indent);
	assert_string_equal(t.bytes ? t.bytes : "", want);
}

static void test_messages(void **state)
{
	Rec__Slot slots[] = {REC__SLOT__INIT, REC__SLOT__INIT};
	Rec__Slot *slot_list[] = {&slots[0], &slots[1]};
	uint32_t tids[] = {4242, 4243};
	Rec__Task task = REC__TASK__INIT;

	(void)state;
	slots[0].file = 1;
	slots[1].fd = 1;
	slots[1].file = 1;
	slots[1].cloexec = true;
	task.pid = 4242;
	task.name = (char *)"a \"b\"";
	task.tids = tids;
	task.n_tids = 2;
	assert_json_has(&task.base, "\"pid\":4242,\"ppid\":0,");
	assert_json_has(&task.base, ",\"name\":\"a \\\"b\\\"\",");
	assert_json_has(&task.base, ",\"tids\":[4242,4243],");
	assert_json_has(&task.base, ",\"slots\":[],");
	assert_json_has(&task.base, "\"foreground\":false");
	task.slots = slot_list;
	task.n_slots = 2;
	assert_human(&task.base, 1,
		     "  pid: 4242\n"
		     "  name: \"a \\\"b\\\"\"\n"
		     "  tids: 4242 4243\n"
		     "  slots: {file=1}\n"
		     "  slots: {fd=1 file=1 cloexec=true}\n");
}

static void test_scalars(void **state)
{
	Rec__Limits limits = REC__LIMITS__INIT;
	Rec__Limit limit = REC__LIMIT__INIT, *list[] = {&limit};
	Rec__Lock lock = REC__LOCK__INIT;

	(void)state;
	limit.soft = UINT64_MAX;
	limits.oom_score_adj = -1000;
	limits.limits = list;
	limits.n_limits = 1;
	assert_json(&limits.base,
		    "{\"pid\":0,\"limits\":[{\"resource\":0,\"soft\":18446744073709551615,"
		    "\"hard\":0}],\"oom_score_adj\":-1000}");
	lock.type = REC__LOCK__TYPE__OFD;
	assert_json(&lock.base,
		    "{\"type\":\"OFD\",\"fd\":0,\"mode\":0,\"start\":0,\"end\":0}");
	assert_human(&lock.base, 0, "type: OFD\n");
	lock.type = (Rec__Lock__Type)77;
	assert_human(&lock.base, 0, "type: 77\n");
}

static void test_bytes(void **state)
{
	Rec__Pipe pipe = REC__PIPE__INIT;
	Rec__File file = REC__FILE__INIT;
	uint8_t content[JSON_MAX_HEX + 1] = {0xca, 0xfe};

	(void)state;
	pipe.file = &file;
	file.id = 3;
	pipe.path = (char *)"fifo";
	pipe.content.data = content;
	pipe.content.len = 2;
	assert_human(&pipe.base, 0, "file: {id=3}\npath: \"fifo\"\ncontent: cafe\n");
	assert_json_has(&pipe.base,
			"\"file\":{\"id\":3,\"flags\":0,\"position\":0,\"mode\":0},\"pipe\":0,");
	assert_json_has(&pipe.base, "\"content\":\"cafe\",\"packets\":[]");
	pipe.content.len = sizeof content;
	pipe.file = NULL;
	assert_json_has(&pipe.base, "\"content\":{\"bytes\":65}");
	assert_human(&pipe.base, 0, "path: \"fifo\"\ncontent: (65 bytes)\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_scalars),
		cmocka_unit_test(test_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
