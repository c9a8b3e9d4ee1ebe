/* What the seed makes: which members there are, how they come about, and who holds what. */
#include "soak.h"

/* splitmix64 */
uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

unsigned below(uint64_t *state, unsigned end)
{
	return (unsigned)(draw(state) % end);
}

bool chance(uint64_t *state, unsigned percent)
{
	return below(state, 100) < percent;
}

void fill(void *to, size_t size, uint64_t seed)
{
	unsigned char *p = to;

	for (size_t i = 0; i < size; i++)
		p[i] = (unsigned char)(i % 8 ? seed >> i % 8 * 8 : draw(&seed));
}

bool is_filled(const void *from, size_t size, uint64_t seed)
{
	const unsigned char *p = from;

	for (size_t i = 0; i < size; i++)
		if (p[i] != (unsigned char)(i % 8 ? seed >> i % 8 * 8 : draw(&seed)))
			return false;
	return true;
}

static unsigned choose_sharing(uint64_t *state)
{
	unsigned flags = 0;

	if (!chance(state, 20))
		return 0;
	flags |= chance(state, 50) ? SHARE_MEMORY : 0;
	flags |= chance(state, 50) ? SHARE_FILES : 0;
	flags |= chance(state, 50) ? SHARE_DIRECTORY : 0;
	if (flags & SHARE_MEMORY && chance(state, 50))
		flags |= SHARE_ACTIONS;
	return flags;
}

static unsigned choose_flags(uint64_t *state)
{
	unsigned flags = choose_sharing(state);

	if (!flags && chance(state, 8))
		return ZOMBIE;
	if (chance(state, 10))
		flags |= NEW_SESSION;
	else if (chance(state, 15))
		flags |= NEW_GROUP;
	if (!(flags & SHARE_ANY) && chance(state, 8))
		flags |= ORPHAN;
	else if (chance(state, 8))
		flags |= STOPPED;
	if (chance(state, 8))
		flags |= REAPER;
	return flags;
}

/* A narrow tree is deep, a wide one flat. */
static int choose_parent(uint64_t *state, int number, unsigned narrowness)
{
	int parent;

	do {
		parent = chance(state, narrowness) ? number - 1 - (int)below(state, 2) :
						     (int)below(state, (unsigned)number);
	} while (parent < 0 || board->members[parent].flags & ZOMBIE);
	return parent;
}

static int leader_of(int number)
{
	while (number && !(board->members[number].flags & NEW_SESSION))
		number = board->members[number].parent;
	return number;
}

/* Who takes on an orphan; an orphan of a session that cannot be made again is none. */
static void plan_collector(struct member *m)
{
	int collector = m->parent, leader;

	m->collector = m->parent;
	if (!(m->flags & ORPHAN))
		return;
	leader = leader_of(m->parent);
	while (!(board->members[collector].flags & REAPER))
		collector = board->members[collector].parent;
	if (leader == leader_of(collector) || board->members[leader].collector == collector)
		m->collector = collector;
	else
		m->flags &= ~(unsigned)ORPHAN;
}

static void plan_members(uint64_t *state)
{
	unsigned narrowness = below(state, 100);

	board->member_count = 2 + (int)below(state, chance(state, 50) ? 8 : MEMBERS - 1);
	for (int i = 0; i < board->member_count; i++) {
		struct member *m = &board->members[i];

		m->number = i;
		m->flags = i ? choose_flags(state) : REAPER;
		m->parent = i ? choose_parent(state, i, narrowness) : -1;
		m->pastime = below(state, PASTIMES);
		m->seed = draw(state);
		plan_collector(m);
	}
}

/* Who inherits it: all below the creator, but for those that let it go, and their own. */
static void plan_holders(struct object *o, uint64_t *state)
{
	o->holders = 1ull << o->creator;
	for (int i = o->creator + 1; i < board->member_count; i++) {
		const struct member *m = &board->members[i];

		if (m->flags & ZOMBIE || !(o->holders >> m->parent & 1))
			continue;
		if (m->flags & SHARE_ANY || chance(state, 75))
			o->holders |= 1ull << i;
	}
}

static int choose_holder(const struct object *o, uint64_t *state)
{
	int i;

	do
		i = (int)below(state, (unsigned)board->member_count);
	while (!(o->holders >> i & 1));
	return i;
}

void make_plan(uint64_t seed, const struct sort *const *sorts, unsigned sort_count)
{
	uint64_t state = seed;

	board->seed = seed;
	plan_members(&state);
	for (int i = 0; i < board->member_count; i++) {
		unsigned count = below(&state, 6);

		if (board->members[i].flags & ZOMBIE)
			continue;
		for (; count && board->object_count < OBJECTS; count--) {
			struct object *o = &board->objects[board->object_count];

			o->number = board->object_count++;
			o->creator = i;
			o->sort = sorts[below(&state, sort_count)];
			o->seed = draw(&state);
			o->option = (unsigned)draw(&state);
			o->fd[0] = o->fd[1] = o->id = -1;
			plan_holders(o, &state);
			o->user = choose_holder(o, &state);
			o->seer = choose_holder(o, &state);
		}
	}
}

/* For whoever looks into a seed that fails. */
void print_plan(void)
{
	static const char *const names[] = {"memory", "files",	 "directory", "actions", "session",
					    "group",  "stopped", "orphan",    "zombie",	 "reaper"};

	for (int i = 0; i < board->member_count; i++) {
		const struct member *m = &board->members[i];

		printf("member %d of %d, collected by %d:", i, m->parent, m->collector);
		for (unsigned k = 0; k < sizeof names / sizeof *names; k++)
			if (m->flags >> k & 1)
				printf(" %s", names[k]);
		printf("\n");
	}
	for (int i = 0; i < board->object_count; i++) {
		const struct object *o = &board->objects[i];

		printf("object %d, %s of %d, used by %d, seen by %d, held by", i, o->sort->name,
		       o->creator, o->user, o->seer);
		for (int k = 0; k < board->member_count; k++)
			if (o->holders >> k & 1)
				printf(" %d", k);
		printf("\n");
	}
}
