#include "engine/pin.h"

void pin_choose(struct pin *p)
{
	int cpu = sched_getcpu();

	CPU_ZERO(&p->one);
	/* More processors than the set has room for: then we stay as we are. */
	p->known = cpu >= 0 && cpu < CPU_SETSIZE && sched_getaffinity(0, sizeof p->own, &p->own) == 0;
	if (p->known)
		CPU_SET(cpu, &p->one);
}

void pin_hold(const struct pin *p)
{
	if (p->known)
		sched_setaffinity(0, sizeof p->one, &p->one);
}

void pin_release(const struct pin *p)
{
	if (p->known)
		sched_setaffinity(0, sizeof p->own, &p->own);
}

void pin_newborn(const struct pin *p, pid_t pid)
{
	if (p->known)
		sched_setaffinity(pid, sizeof p->one, &p->one);
}
