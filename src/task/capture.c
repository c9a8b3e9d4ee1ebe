#include "task/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "priv/userns.h"

int capture_record(struct capture *c, const struct kind *kind, ProtobufCMessage *message)
{
	struct record *r = vec_push(&c->records);

	if (!r) {
		protobuf_c_message_free_unpacked(message, NULL);
		return -ENOMEM;
	}
	*r = (struct record){kind, message};
	return 0;
}

/* Where the entry stands in the table, or the free place where it would. */
static size_t table_place(const struct capture *c, uint32_t space, uint64_t key0, uint64_t key1)
{
	uint64_t hash = (key0 + space) * UINT64_C(0x9e3779b97f4a7c15) ^
			key1 * UINT64_C(0xc2b2ae3d27d4eb4f);
	size_t mask = c->shared_table.count - 1, at = (hash ^ hash >> 32) & mask;

	for (;; at = (at + 1) & mask) {
		uint32_t n = c->shared_table.items[at];
		const struct shared *s = n ? &c->shared.items[n - 1] : NULL;

		if (!s || (s->space == space && s->key[0] == key0 && s->key[1] == key1))
			return at;
	}
}

/* At most half of it is used. */
static int grow_table(struct capture *c)
{
	size_t size = c->shared_table.count ? c->shared_table.count * 2 : 64;

	c->shared_table.count = 0;
	while (c->shared_table.count < size)
		if (!vec_push(&c->shared_table))
			return -ENOMEM;
	memset(c->shared_table.items, 0, size * sizeof *c->shared_table.items);
	for (uint32_t i = 0; i < c->shared.count; i++) {
		const struct shared *s = &c->shared.items[i];

		c->shared_table.items[table_place(c, s->space, s->key[0], s->key[1])] = i + 1;
	}
	return 0;
}

uint32_t capture_shared(const struct capture *c, uint32_t space, uint64_t key0, uint64_t key1)
{
	uint32_t n = c->shared_table.count
			     ? c->shared_table.items[table_place(c, space, key0, key1)]
			     : 0;

	return n ? c->shared.items[n - 1].owner : 0;
}

uint32_t capture_share(struct capture *c, uint32_t space, uint64_t key0, uint64_t key1,
		       uint32_t owner)
{
	uint32_t known = capture_shared(c, space, key0, key1);
	struct shared *s;

	if (known)
		return known;
	if (c->shared.count * 2 >= c->shared_table.count && grow_table(c) < 0)
		return 0;
	s = vec_push(&c->shared);
	if (!s)
		return 0;
	*s = (struct shared){space, {key0, key1}, owner};
	c->shared_table.items[table_place(c, space, key0, key1)] = (uint32_t)c->shared.count;
	return owner;
}

static int compare_inodes(const void *x, const void *y)
{
	const struct file *a = *(struct file *const *)x, *b = *(struct file *const *)y;

	if (a->st.st_ino != b->st.st_ino)
		return a->st.st_ino < b->st.st_ino ? -1 : 1;
	if (a->st.st_dev != b->st.st_dev)
		return a->st.st_dev < b->st.st_dev ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

static bool same_inode(const struct file *a, const struct file *b)
{
	return a->st.st_ino == b->st.st_ino && a->st.st_dev == b->st.st_dev;
}

static int sort_by_inode(struct capture *c)
{
	c->by_inode.count = 0;
	vec_each(f, &c->files.files) {
		struct file **slot = vec_push(&c->by_inode);

		if (!slot)
			return -ENOMEM;
		*slot = *f;
	}
	qsort(c->by_inode.items, c->by_inode.count, sizeof(struct file *), compare_inodes);
	return 0;
}

struct file *const *capture_same_inode(struct capture *c, const struct file *f, size_t *ret_count)
{
	struct file **at, **end;

	if (c->by_inode.count != c->files.files.count && sort_by_inode(c) < 0)
		return NULL;
	at = bsearch(&f, c->by_inode.items, c->by_inode.count, sizeof f, compare_inodes);
	if (!at)
		return NULL;
	end = at + 1;
	while (at > c->by_inode.items && same_inode(at[-1], f))
		at--;
	while (end < c->by_inode.items + c->by_inode.count && same_inode(*end, f))
		end++;
	*ret_count = (size_t)(end - at);
	return at;
}

const struct namespaces *capture_namespaces(struct capture *c)
{
	cleanup_close int proc = c->namespaces_known ? -1 : open("/proc/self", O_PATH | O_CLOEXEC);

	if (proc >= 0)
		namespaces_read(proc, &c->namespaces);
	c->namespaces_known = true;
	return &c->namespaces;
}

int capture_ipc(const struct capture *c)
{
	const struct task *task = c->tree.tasks.items[0];

	return namespace_is_same(&task->namespaces, &c->namespaces, NAMESPACE_IPC)
		       ? -1
		       : task->pidfd;
}

void capture_free(struct capture *c)
{
	priv_unshare(c->ipc, c->ipc_size);
	c->ipc = NULL;
	vec_each(r, &c->records)
		protobuf_c_message_free_unpacked(r->message, NULL);
	vec_free(&c->records);
	vec_each(it, &c->contents)
		close_fdp(&it->fd);
	vec_free(&c->contents);
	vec_free(&c->shared);
	vec_free(&c->shared_table);
	vec_free(&c->by_inode);
	vec_free(&c->by_kcmp);
	file_table_free(&c->files);
	tree_free(&c->tree);
}
