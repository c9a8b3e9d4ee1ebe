#include "proc/maps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "proc/scan.h"

static const char flag_names[][3] = {
	[VM_FLAG_READ] = "rd",
	[VM_FLAG_WRITE] = "wr",
	[VM_FLAG_EXEC] = "ex",
	[VM_FLAG_SHARED] = "sh",
	[VM_FLAG_MAYREAD] = "mr",
	[VM_FLAG_MAYWRITE] = "mw",
	[VM_FLAG_MAYEXEC] = "me",
	[VM_FLAG_MAYSHARE] = "ms",
	[VM_FLAG_GROWSDOWN] = "gd",
	[VM_FLAG_PFNMAP] = "pf",
	[VM_FLAG_LOCKED] = "lo",
	[VM_FLAG_IO] = "io",
	[VM_FLAG_SEQ_READ] = "sr",
	[VM_FLAG_RAND_READ] = "rr",
	[VM_FLAG_DONTCOPY] = "dc",
	[VM_FLAG_DONTEXPAND] = "de",
	[VM_FLAG_LOCKONFAULT] = "lf",
	[VM_FLAG_ACCOUNT] = "ac",
	[VM_FLAG_NORESERVE] = "nr",
	[VM_FLAG_HUGETLB] = "ht",
	[VM_FLAG_SYNC] = "sf",
	[VM_FLAG_ARCH_1] = "ar",
	[VM_FLAG_WIPEONFORK] = "wf",
	[VM_FLAG_DONTDUMP] = "dd",
	[VM_FLAG_SOFTDIRTY] = "sd",
	[VM_FLAG_MIXEDMAP] = "mm",
	[VM_FLAG_HUGEPAGE] = "hg",
	[VM_FLAG_NOHUGEPAGE] = "nh",
	[VM_FLAG_MERGEABLE] = "mg",
	[VM_FLAG_UFFD_MISSING] = "um",
	[VM_FLAG_UFFD_WP] = "uw",
	[VM_FLAG_UFFD_MINOR] = "ui",
	[VM_FLAG_SHADOW_STACK] = "ss",
	[VM_FLAG_SEALED] = "sl",
	[VM_FLAG_DROPPABLE] = "dp",
	[VM_FLAG_GUARD] = "gu",
	[VM_FLAG_UNKNOWN] = "??", /* what the kernel itself writes when it has no name */
};

const char *vm_flag_name(enum vm_flag flag)
{
	return flag_names[flag <= VM_FLAG_UNKNOWN ? flag : VM_FLAG_UNKNOWN];
}

static uint64_t parse_flags(struct scan *s)
{
	struct scan word;
	uint64_t flags = 0;
	unsigned int nameless = 0, unknown = 0;

	while (word = scan_word(s), scan_left(&word)) {
		unsigned int flag = 0;

		while (flag < VM_FLAG_UNKNOWN && !scan_is(&word, flag_names[flag]))
			flag++;
		flags |= UINT64_C(1) << flag;
		nameless += scan_is(&word, "??");
		unknown += flag == VM_FLAG_UNKNOWN;
	}
	/* Linux 6.1 has no name for "lf" (show_smap_vma_flags), which goes with "lo" only. */
	if ((flags & VM_FLAG(LOCKED)) && nameless == 1 && unknown == 1) {
		flags &= ~VM_FLAG(UNKNOWN);
		flags |= VM_FLAG(LOCKONFAULT);
	}
	return flags;
}

/* Only newlines are escaped, and backslashes are not: any other \ooo is the name itself. */
static void unescape_newlines(char *path)
{
	char *to = strstr(path, "\\012");
	const char *from;

	if (!to)
		return;
	for (from = to; *from;) {
		if (strncmp(from, "\\012", 4) == 0) {
			*to++ = '\n';
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
}

static int parse_path(struct scan *s, struct vm_area *area)
{
	static const char suffix[] = " (deleted)";
	const size_t suffix_len = sizeof suffix - 1;

	scan_blanks(s);
	if (!scan_left(s))
		return 0;
	if (scan_left(s) > suffix_len && memcmp(s->end - suffix_len, suffix, suffix_len) == 0) {
		area->deleted = true;
		s->end -= suffix_len;
	}
	area->path = scan_dup(s);
	if (!area->path)
		return -ENOMEM;
	unescape_newlines(area->path);
	return 0;
}

static bool parse_letter(struct scan *s, char yes)
{
	char c = scan_char(s);

	if (c != yes && c != '-')
		s->bad = true;
	return c == yes;
}

/* start-end rwxp offset major:minor inode   path */
static int parse_header(struct scan *s, struct vm_area *area)
{
	char sharing;

	area->start = scan_hex(s);
	scan_expect(s, "-");
	area->end = scan_hex(s);
	scan_expect(s, " ");
	area->prot = parse_letter(s, 'r') ? PROT_READ : 0;
	area->prot |= parse_letter(s, 'w') ? PROT_WRITE : 0;
	area->prot |= parse_letter(s, 'x') ? PROT_EXEC : 0;
	sharing = scan_char(s);
	area->shared = sharing == 's';
	scan_expect(s, " ");
	area->offset = scan_hex(s);
	area->dev_major = scan_hex32(s);
	scan_expect(s, ":");
	area->dev_minor = scan_hex32(s);
	area->inode = scan_dec(s);
	if (s->bad || area->start >= area->end || (sharing != 's' && sharing != 'p'))
		return -EINVAL;
	area->gate = area->start >> 63;
	if (s->at != s->end && *s->at != ' ')
		return -EINVAL;
	return parse_path(s, area);
}

/* "Key:  value" of smaps. */
static int parse_detail(struct scan *s, struct vm_area *area)
{
	static const struct {
		const char *key;
		size_t offset;
	} sizes[] = {
		{"KernelPageSize", offsetof(struct vm_area, page_size)},
		{"Rss", offsetof(struct vm_area, rss)},
		{"Anonymous", offsetof(struct vm_area, anonymous)},
		{"Swap", offsetof(struct vm_area, swap)},
		{"Locked", offsetof(struct vm_area, locked)},
		{"AnonHugePages", offsetof(struct vm_area, anon_huge)},
	};
	struct scan key;

	if (!scan_key(s, &key))
		return -EINVAL;
	area->detailed = true;
	if (scan_is(&key, "VmFlags")) {
		area->flags = parse_flags(s);
		return 0;
	}
	if (scan_is(&key, "ProtectionKey")) {
		area->pkey = scan_u32(s);
		return s->bad ? -EINVAL : 0;
	}
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		if (!scan_is(&key, sizes[i].key))
			continue;
		*(uint64_t *)((char *)area + sizes[i].offset) = scan_kilobytes(s);
		return s->bad ? -EINVAL : 0;
	}
	return 0;
}

/* An address starts with a lower-case digit, a key with a capital. */
static bool is_header(const struct scan *line)
{
	return line->at != line->end && ((*line->at >= '0' && *line->at <= '9') ||
					 (*line->at >= 'a' && *line->at <= 'f'));
}

/* A mapping more, or something of the last one. */
static int parse_line(struct scan *line, struct vm_areas *areas)
{
	struct vm_area *area;

	if (is_header(line)) {
		area = vec_push(&areas->list);
		return area ? parse_header(line, area) : -ENOMEM;
	}
	if (!areas->list.count)
		return -EINVAL;
	return parse_detail(line, &areas->list.items[areas->list.count - 1]);
}

ssize_t maps_parse_piece(const char *text, size_t len, struct vm_areas *areas)
{
	const char *end = len ? memrchr(text, '\n', len) : NULL;
	size_t used = end ? (size_t)(end - text) + 1 : 0;
	struct scan all = scan_of(text, used), line;
	int r = 0;

	while (r == 0 && scan_line(&all, &line))
		r = parse_line(&line, areas);
	return r < 0 ? r : (ssize_t)used;
}

int maps_parse(const char *text, size_t len, struct vm_areas *ret)
{
	cleanup_maps struct vm_areas areas = {0};
	ssize_t used = maps_parse_piece(text, len, &areas);
	struct scan rest, line;
	int r;

	if (used < 0)
		return (int)used;
	rest = scan_of(text + used, len - (size_t)used);
	r = scan_line(&rest, &line) ? parse_line(&line, &areas) : 0;
	if (r < 0)
		return r;
	*ret = areas;
	areas = (struct vm_areas){0};
	return 0;
}

const struct vm_area *maps_find(const struct vm_areas *areas, uint64_t addr)
{
	size_t low = 0, high = areas->list.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct vm_area *area = &areas->list.items[middle];

		if (addr < area->start)
			high = middle;
		else if (addr >= area->end)
			low = middle + 1;
		else
			return area;
	}
	return NULL;
}

void maps_free(struct vm_areas *areas)
{
	vec_each(area, &areas->list)
		free(area->path);
	vec_free(&areas->list);
}
