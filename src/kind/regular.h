/* What regular.c (files that have a name) and regular-ghost.c (files that have none) share. */
#pragma once

#include "kind/kind.h"

extern const struct kind kind_regular;

/* Fills the fields of a deleted file, and adds its content. */
int ghost_capture(struct capture *c, struct file *f, const struct stat *st, Rec__Regular *m,
		  struct error **err);
int ghost_validate(const Rec__Regular *m, struct error **err);
int ghost_open(struct rebuild *r, struct rebuilt_file *f, struct error **err);
int ghost_fill_done(struct rebuild *r, struct rebuilt_file *f, struct error **err);
