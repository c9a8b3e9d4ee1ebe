#include "proc/mountinfo.h"

#include <errno.h>
#include <stdlib.h>

#include "proc/scan.h"

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* Spaces, tabs, newlines, backslashes and some more are written \ooo. */
static void unescape(char *path)
{
	const char *from = path;
	char *to = path;

	while (*from) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && is_octal(from[2]) &&
		    is_octal(from[3])) {
			*to++ = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 |
				       (from[3] - '0'));
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
}

/* An error sticks in *r, so that a row of fields reads as a row. */
static char *field_text(struct scan *s, int *r)
{
	struct scan field = scan_field(s);
	char *copy = NULL;

	if (*r < 0)
		return NULL;
	if (s->bad) {
		*r = -EINVAL;
		return NULL;
	}
	copy = scan_dup(&field);
	if (!copy)
		*r = -ENOMEM;
	else
		unescape(copy);
	return copy;
}

/* "shared:N master:N propagate_from:N unbindable -": any of them, then the dash. */
static int parse_optional(struct scan *s, struct mount_entry *mount)
{
	for (;;) {
		struct scan field = scan_field(s);

		if (s->bad)
			return -EINVAL;
		if (scan_is(&field, "-"))
			return 0;
		if (scan_skip(&field, "shared:"))
			mount->shared = scan_int(&field);
		else if (scan_skip(&field, "master:"))
			mount->master = scan_int(&field);
		if (field.bad)
			return -EINVAL;
	}
}

static int parse_mount(struct scan *s, struct mount_entry *mount)
{
	int r = 0;

	mount->id = scan_int(s);
	mount->parent = scan_int(s);
	mount->dev_major = scan_u32(s);
	scan_expect(s, ":");
	mount->dev_minor = scan_u32(s);
	scan_expect(s, " ");
	if (s->bad)
		return -EINVAL;
	mount->root = field_text(s, &r);
	mount->point = field_text(s, &r);
	mount->options = field_text(s, &r);
	if (r < 0)
		return r;
	r = parse_optional(s, mount);
	if (r < 0)
		return r;
	mount->fs_type = field_text(s, &r);
	mount->source = field_text(s, &r);
	mount->super_options = field_text(s, &r);
	return r;
}

int mountinfo_parse(const char *text, size_t len, struct mount_table *ret)
{
	cleanup_mountinfo struct mount_table table = {0};
	struct scan all = scan_of(text, len), line;

	while (scan_line(&all, &line)) {
		struct mount_entry *mount = vec_push(&table.list);
		int r;

		if (!mount)
			return -ENOMEM;
		r = parse_mount(&line, mount);
		if (r < 0)
			return r;
	}
	*ret = table;
	table = (struct mount_table){0};
	return 0;
}

const struct mount_entry *mountinfo_find(const struct mount_table *table, int id)
{
	for (size_t i = 0; i < table->list.count; i++)
		if (table->list.items[i].id == id)
			return &table->list.items[i];
	return NULL;
}

void mountinfo_free(struct mount_table *table)
{
	vec_each(mount, &table->list) {
		free(mount->root);
		free(mount->point);
		free(mount->options);
		free(mount->fs_type);
		free(mount->source);
		free(mount->super_options);
	}
	vec_free(&table->list);
}
