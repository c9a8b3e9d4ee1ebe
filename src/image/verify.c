#include "image/pump.h"

static int verify_frames(struct image_reader *r, struct image_pump *p,
			 int (*record)(void *arg, const struct image_frame *frame,
				       struct error **err),
			 void *arg, struct error **err)
{
	const struct image_sink nowhere = {0};
	struct image_frame frame;
	int n;

	while ((n = image_reader_next(r, &frame, err)) > 0) {
		if (frame.type == IMAGE_TYPE_MEMORY)
			n = image_pump_frame(p, r, &frame, &nowhere, err);
		else if (record)
			n = record(arg, &frame, err);
		if (n < 0)
			break;
	}
	return n;
}

int image_verify_rest(struct image_reader *r,
		      int (*record)(void *arg, const struct image_frame *frame, struct error **err),
		      void *arg, struct error **err)
{
	cleanup_image_pump struct image_pump *p = NULL;
	struct error *own = NULL;
	int n = image_pump_new(&p, err);

	if (n < 0)
		return n;
	n = verify_frames(r, p, record, arg, &own);
	return image_pump_wait(p, n, &own, err);
}

int image_verify(const char *path, struct image_stats *ret_stats,
		 struct image_identity *ret_identity, struct error **err)
{
	cleanup_image_reader struct image_reader *r = NULL;
	int n = image_reader_open(&r, path, err);

	if (n == 0)
		n = image_verify_rest(r, NULL, NULL, err);
	if (n < 0)
		return n;
	if (ret_stats)
		*ret_stats = *image_reader_stats(r);
	if (ret_identity)
		*ret_identity = image_reader_identity(r);
	return 0;
}
