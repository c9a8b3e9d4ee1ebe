/* The public functions: they check the caller's structs and hand on to the engine. */
#include "stasis.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/doctor.h"
#include "engine/engine.h"
#include "engine/restore.h"
#include "engine/show.h"
#include "image/reader.h"
#include "priv/caps.h"

/* What STASIS_COMPRESS_AUTO goes up to: above it hardly anything is gained. */
#define AUTO_TOP_LEVEL 9

struct stasis_process {
	struct revived revived;
};

static struct error **inner(stasis_error **err)
{
	return (struct error **)err;
}

/* A caller that was built with an older header has smaller structs: it gets what it knows. */
static void take(void *to, size_t to_size, const void *from, size_t from_size)
{
	memcpy(to, from, from_size < to_size ? from_size : to_size);
}

const char *stasis_version(void)
{
	return STASIS_VERSION;
}

enum stasis_outcome stasis_error_outcome(const stasis_error *err)
{
	return (enum stasis_outcome)error_outcome((const struct error *)err);
}

size_t stasis_error_count(const stasis_error *err)
{
	return error_count((const struct error *)err);
}

const char *stasis_error_why(const stasis_error *err, size_t i)
{
	return error_why((const struct error *)err, i);
}

const char *stasis_error_mend(const stasis_error *err, size_t i)
{
	return error_mend((const struct error *)err, i);
}

void stasis_error_free(stasis_error *err)
{
	error_free((struct error *)err);
}

/*
 * A program with file capabilities has them effective: nothing is done with them but what
 * asks for them.
 */
#define SET_CAPABILITIES_ASIDE(err)                               \
	struct lowered lowered_ cleanup_take_back = {0};          \
	if (priv_set_aside(&lowered_, inner(err)) < 0)            \
		return -EPERM

static int usage(stasis_error **err, const char *why)
{
	int r = fail(inner(err), EINVAL, "%s", why);

	error_set_outcome(err ? *inner(err) : NULL, OUTCOME_USAGE);
	return r;
}

static enum external external(enum stasis_external e)
{
	return e == STASIS_EXTERNAL_CLOSE	? EXTERNAL_CLOSE
	       : e == STASIS_EXTERNAL_RECONNECT ? EXTERNAL_RECONNECT
	       : e == STASIS_EXTERNAL_INHERIT	? EXTERNAL_INHERIT
						: EXTERNAL_REFUSE;
}

int stasis_checkpoint(pid_t pid, const char *image, const struct stasis_checkpoint_options *options,
		      struct stasis_checkpoint_result *result, stasis_error **err)
{
	struct stasis_checkpoint_options o = {.size = sizeof o};
	struct checkpoint_result done;
	struct checkpoint_options inside;
	int r;

	SET_CAPABILITIES_ASIDE(err);
	if (options)
		take(&o, sizeof o, options, options->size);
	if (pid <= 0)
		return usage(err, "a process number is a positive number");
	if (o.compress < STASIS_COMPRESS_AUTO || o.compress > 19)
		return usage(err, "the compression level goes from 1 to 19");
	if ((unsigned int)o.then > STASIS_LEAVE_STOPPED)
		return usage(err, "unknown wish for what becomes of the program");
	if ((unsigned int)o.external_unix > STASIS_EXTERNAL_INHERIT ||
	    (unsigned int)o.external_pipe > STASIS_EXTERNAL_INHERIT ||
	    o.external_pipe == STASIS_EXTERNAL_RECONNECT)
		return usage(err, "unknown wish for what is outside");
	if (o.precopy && o.parent)
		return usage(err, "with a parent only what has changed is copied: precopy has no place");
	inside = (struct checkpoint_options){
		.external = {external(o.external_unix), external(o.external_pipe)},
		.output = image,
		.then = o.then == STASIS_KILL	       ? THEN_KILL
			: o.then == STASIS_LEAVE_STOPPED ? THEN_STOP
							 : THEN_CONTINUE,
		.only = o.only != 0,
		.zstd_level = o.compress == STASIS_COMPRESS_AUTO ? AUTO_TOP_LEVEL : o.compress,
		.zstd_adaptive = o.compress == STASIS_COMPRESS_AUTO,
		.track = o.track != 0,
		.precopy = o.precopy != 0,
		.parent = o.parent,
		.progress = o.progress,
		.progress_arg = o.progress_arg,
	};
	r = engine_checkpoint(pid, &inside, &done, inner(err));
	if (r == 0 && result) {
		struct stasis_checkpoint_result res = {
			.size = result->size,
			.bytes = done.stats.bytes,
			.memory = done.stats.raw_bytes,
			.pause = done.pause_ns,
			.copied = done.copied,
		};

		take(result, result->size, &res, sizeof res);
	}
	return r;
}

/* *ret is malloc'ed: the inner form of what the caller gives. */
static int take_inherited(const struct stasis_restore_options *o, struct inherited **ret,
			  stasis_error **err)
{
	struct inherited *list = calloc(o->inherit_count + 1, sizeof *list);

	if (!list)
		return fail(inner(err), ENOMEM, "out of memory");
	for (size_t i = 0; i < o->inherit_count; i++) {
		const struct stasis_inherit *at = &o->inherit[i];

		if (at->pid < 0 || at->fd < 0 || at->given < 0) {
			free(list);
			return usage(err, "process and descriptor numbers are not negative");
		}
		list[i] = (struct inherited){(uint32_t)at->pid, (uint32_t)at->fd, at->given};
	}
	*ret = list;
	return 0;
}

/* inherit of ret is malloc'ed. */
static int take_restore_options(const struct stasis_restore_options *options,
				struct restore_options *ret, struct inherited **ret_inherit,
				stasis_error **err)
{
	struct stasis_restore_options o = STASIS_RESTORE_OPTIONS_INIT;

	if (options)
		take(&o, sizeof o, options, options->size);
	if ((unsigned int)o.pid > STASIS_PID_NEW)
		return usage(err, "unknown policy for process numbers");
	*ret = (struct restore_options){
		.pid_policy = o.pid == STASIS_PID_SAME	    ? PID_SAME
			      : o.pid == STASIS_PID_PRIVATE ? PID_PRIVATE
			      : o.pid == STASIS_PID_NEW	    ? PID_NEW
							    : PID_AUTO,
		.inherit_count = o.inherit_count,
		.unix_close = o.unix_close != 0,
		.tcp_close = o.tcp_close != 0,
		.progress = o.progress,
		.progress_arg = o.progress_arg,
		.foreground = o.foreground != 0,
		.lazy = o.lazy != 0,
	};
	for (int i = 0; i < 3; i++) {
		ret->standard[i] = o.standard[i] >= 0 ? o.standard[i] : -1;
		ret->standard_given[i] = o.standard[i] >= 0;
	}
	return take_inherited(&o, ret_inherit, err);
}

/* The handles first: what runs could not be handed over without. */
static int restore_copies(const char *image, const struct restore_options *inside, size_t count,
			  stasis_process **handles, stasis_error **err)
{
	struct revived *made = calloc(count, sizeof *made);
	int r = made ? 0 : -ENOMEM;

	for (size_t i = 0; i < count && r == 0; i++) {
		handles[i] = calloc(1, sizeof **handles);
		r = handles[i] ? 0 : -ENOMEM;
	}
	if (r < 0)
		fail(inner(err), ENOMEM, "out of memory");
	else
		r = count == 1 ? engine_restore(image, inside, made, inner(err))
			       : engine_restore_copies(image, inside, count, made, inner(err));
	for (size_t i = 0; i < count && r == 0; i++)
		handles[i]->revived = made[i];
	for (size_t i = 0; i < count && r < 0; i++)
		free(handles[i]);
	free(made);
	return r;
}

int stasis_restore_copies(const char *image, const struct stasis_restore_options *options,
			  size_t count, stasis_process **processes, stasis_error **err)
{
	struct restore_options inside;
	struct inherited *inherit = NULL;
	stasis_process **handles;
	int r;

	SET_CAPABILITIES_ASIDE(err);
	if (count == 0 || count > STASIS_COPIES_MAX)
		return usage(err, "so many copies cannot be made");
	r = take_restore_options(options, &inside, &inherit, err);
	if (r < 0)
		return r;
	inside.inherit = inherit;
	handles = calloc(count, sizeof(stasis_process *));
	if (!handles)
		r = fail(inner(err), ENOMEM, "out of memory");
	else if (count > 1 && inside.pid_policy == PID_SAME)
		r = usage(err, "only one process can have a number");
	else if (count > 1 && inside.lazy)
		r = usage(err, "several copies have their memory from a template, at once");
	else if (count > 1 && strcmp(image, "-") == 0)
		r = usage(err, "the image of several copies is read more than once: it is a file");
	else
		r = restore_copies(image, &inside, count, handles, err);
	if (r == 0)
		memcpy(processes, handles, count * sizeof *handles);
	free(handles);
	free(inherit);
	return r;
}

int stasis_restore(const char *image, const struct stasis_restore_options *options,
		   stasis_process **process, stasis_error **err)
{
	return stasis_restore_copies(image, options, 1, process, err);
}

pid_t stasis_process_pid(const stasis_process *process)
{
	return process->revived.pid;
}

int stasis_process_wait(stasis_process *process, int *status, stasis_error **err)
{
	return revived_wait(&process->revived, false, status, inner(err));
}

int stasis_process_wait_change(stasis_process *process, int *status, stasis_error **err)
{
	return revived_wait(&process->revived, true, status, inner(err));
}

void stasis_process_free(stasis_process *process)
{
	if (process)
		revived_free(&process->revived);
	free(process);
}

int stasis_show(const char *image, enum stasis_format format, char **text, stasis_error **err)
{
	SET_CAPABILITIES_ASIDE(err);
	if ((unsigned int)format > STASIS_JSON)
		return usage(err, "unknown format");
	return engine_show(image,
			   format == STASIS_JSON	 ? SHOW_JSON
			   : format == STASIS_RECORDS ? SHOW_RECORDS
						      : SHOW_SUMMARY,
			   text, inner(err));
}

int stasis_survey(pid_t pid, stasis_error **err)
{
	SET_CAPABILITIES_ASIDE(err);
	return pid <= 0 ? usage(err, "a process number is a positive number")
			: engine_survey(pid, inner(err));
}

int stasis_doctor(pid_t pid, enum stasis_format format, char **text, stasis_error **err)
{
	SET_CAPABILITIES_ASIDE(err);
	if (pid < 0)
		return usage(err, "a process number is a positive number");
	if (format != STASIS_SUMMARY && format != STASIS_JSON)
		return usage(err, "unknown format");
	return engine_doctor(pid, format == STASIS_JSON, text, inner(err));
}

int stasis_verify(const char *image, struct stasis_image_info *info, stasis_error **err)
{
	struct image_stats stats;
	struct image_identity identity;
	int r;

	SET_CAPABILITIES_ASIDE(err);
	r = engine_verify(image, &stats, &identity, inner(err));
	if (r == 0 && info) {
		struct stasis_image_info res = {
			.size = info->size,
			.bytes = stats.bytes,
			.records = stats.records,
			.memory_frames = stats.memory_frames,
			.memory = stats.raw_bytes,
		};

		snprintf(res.identity, sizeof res.identity, "%016" PRIx64 "%016" PRIx64,
			 identity.high, identity.low);
		take(info, info->size, &res, sizeof res);
	}
	return r;
}

int stasis_audit(const struct stasis_audit_options *options, char **text,
		 struct stasis_audit_result *result, stasis_error **err)
{
	struct stasis_audit_options o = {.size = sizeof o};
	struct audit_options inside;
	struct audit_result done = {0};
	int r;

	SET_CAPABILITIES_ASIDE(err);
	if (options)
		take(&o, sizeof o, options, options->size);
	if ((unsigned int)o.format > STASIS_JSON)
		return usage(err, "unknown format");
	inside = (struct audit_options){
		.json = o.format == STASIS_JSON,
		.colour = o.colour != 0,
		.cell = o.cell,
	};
	r = engine_audit(&inside, text, &done, inner(err));
	if (r == 0 && result) {
		struct stasis_audit_result res = {
			.size = result->size,
			.tried = done.tried,
			.agree = done.agree,
			.stricter = done.stricter,
			.looser = done.looser,
			.different = done.different,
			.absent = done.absent,
		};

		take(result, result->size, &res, sizeof res);
	}
	return r;
}
