/*
 * What socket.c (all sockets), socket-inet.c (TCP and UDP), socket-unix.c and
 * socket-options.c share.
 */
#pragma once

#include <sys/socket.h>

#include "kind/kind.h"

extern const struct kind kind_socket;

/* ---- socket.c ---- */

/* getsockname(2) or getpeername(2) into a field; *ret stays empty where there is no address. */
int socket_address(int fd, bool peer, ProtobufCBinaryData *ret);
/* For people: "127.0.0.1:6379", "/run/x", "@abstract"; the caller frees. */
char *socket_address_text(const ProtobufCBinaryData *address);
/* A new socket of the record's family, type and protocol, with its options: or -errno and *err. */
int socket_make(const Rec__Socket *m, struct error **err);

/* ---- socket-options.c ---- */

/* Those of fd that a new socket of the same kind does not have. */
int socket_options_capture(int fd, Rec__Socket *m, struct error **err);
/* All are known, and none is too long. */
int socket_options_validate(const Rec__Socket *m, struct error **err);
int socket_options_set(int fd, const Rec__Socket *m, struct error **err);

/* ---- socket-inet.c ---- */

int inet_capture(struct file *f, Rec__Socket *m, struct error **err);
int inet_check(const struct rebuild *r, const Rec__Socket *m, struct error **err);
int inet_open(const Rec__Socket *m, struct error **err);

/* ---- socket-unix.c and socket-pair.c ---- */

int unix_capture(struct capture *c, struct file *f, Rec__Socket *m, struct error **err);
int unix_check(const Rec__Socket *m, struct error **err);
int unix_open(struct rebuild *r, const Rec__Socket *m, struct error **err);

int pair_capture(struct capture *c, struct file *f, Rec__Socket *m, struct error **err);
int pair_open(struct rebuild *r, const Rec__Socket *m, struct error **err);

/* ---- socket-diag.c ---- */

struct unix_state {
	bool listening;
	uint32_t shutdown; /* 1: reading, 2: writing */
	uint32_t peer;     /* inode of the socket that it is connected to; 0: none, or a closed one */
	uint32_t file;     /* inode of the file that it is bound to; 0: none */
	uint32_t queued;   /* listening: connections that wait to be accepted; else bytes */
	uint32_t backlog;  /* listening */
};

/* Of the socket with this inode.  -ENOENT: there is none in this network namespace. */
int unix_state(uint32_t inode, struct unix_state *ret);
