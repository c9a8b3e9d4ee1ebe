#include "image/compress-policy.h"

#include <string.h>

static const int levels[COMPRESS_STEPS] = {
	0, -20, -7, -3, -1, 1, 2, 3, 4, 6, 9, 12, 15, 19,
};

/* Raw bytes a second.  An output that takes more than this gets no more: it was asked for small. */
#define FAST_ENOUGH 400e6
/* A higher level is tried only when this one is faster than needed by this factor. */
#define MARGIN 1.35
/* How much of the past remains with each frame, and how many frames a step is given. */
#define FADE 0.8
#define PATIENCE 3U
/* What is known of a step becomes so much more hopeful with each choice against it. */
#define FORGET 1.002

int compress_step_level(unsigned step)
{
	return levels[step];
}

unsigned compress_step_for(int level)
{
	unsigned step = COMPRESS_STEPS - 1;

	while (step > 1 && levels[step] > level)
		step--;
	return step;
}

void compress_policy_init(struct compress_policy *p, unsigned top, unsigned workers)
{
	/* Cheap, and yet most of what there is to be gained: many programs are small. */
	unsigned start = compress_step_for(-1);

	memset(p, 0, sizeof *p);
	p->top = top;
	p->workers = workers;
	p->step = start < top ? start : top;
}

static void fade_in(double *sum, double value)
{
	*sum = *sum * FADE + value;
}

static void go_to(struct compress_policy *p, unsigned step)
{
	p->step = step;
	p->seen = 0;
	p->packed = 0;
	p->pack_ns = 0;
}

/* How many raw bytes a second the output can be given without waiting for it. */
static double wanted(const struct compress_policy *p)
{
	return p->raw * 1e9 < FAST_ENOUGH * p->write_ns ? p->raw * 1e9 / p->write_ns : FAST_ENOUGH;
}

static void choose(struct compress_policy *p)
{
	double have = p->pack_ns > 0 ? p->workers * p->packed / p->pack_ns * 1e9 : 1e18;
	double want = wanted(p);
	unsigned next = p->step + 1;

	p->known[p->step] = have;
	if (have < want && p->step > 0) {
		/* Far too slow: the way down shall not cost more than the level did. */
		go_to(p, have < want / 2 && p->step > 2 ? p->step - 3 : p->step - 1);
	} else if (have > want * MARGIN && next <= p->top) {
		if (p->known[next] == 0 || p->known[next] > want)
			go_to(p, next);
		else
			p->known[next] *= FORGET;
	}
}

void compress_policy_note(struct compress_policy *p, const struct compress_sample *s)
{
	fade_in(&p->raw, (double)s->raw);
	fade_in(&p->write_ns, (double)s->write_ns);
	/* What was under way when the step changed says nothing about the new one. */
	if (s->step != p->step || (!s->tried && s->step > 0))
		return;
	if (s->step > 0) {
		fade_in(&p->packed, (double)s->raw);
		fade_in(&p->pack_ns, (double)s->pack_ns);
	}
	if (++p->seen >= PATIENCE)
		choose(p);
}
