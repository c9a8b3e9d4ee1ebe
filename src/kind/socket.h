/*
 * What socket.c (all sockets), socket-inet.c and socket-tcp*.c (TCP and UDP), socket-unix.c and
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

/* A number that a socket has among its options, or usual. */
int socket_option_number(const Rec__Socket *m, int level, int name, int usual);

/* ---- socket-inet.c ---- */

int inet_capture(struct capture *c, struct file *f, Rec__Socket *m, struct error **err);
/* Pure. */
bool inet_is_consistent(const Rec__Socket *m);
int inet_check(const struct rebuild *r, const Rec__Socket *m, struct error **err);
int inet_open(struct rebuild *r, const Rec__Socket *m, struct error **err);
/* Once all sockets of the image are open: what listens does, and SO_REUSEADDR is the program's. */
int inet_fill_done(struct rebuild *r, const Rec__Socket *m, int fd, struct error **err);
/* Binds to the recorded address; a TCP socket has SO_REUSEADDR from then on.  0 or -errno. */
int inet_bind(int fd, const Rec__Socket *m);

/* ---- socket-tcp.c ---- */

int tcp_capture(struct capture *c, struct file *f, Rec__Socket *m, struct error **err);
/* The program was ended: nothing of its connections may stand in the way of a restore. */
void tcp_ended(const struct file *f, const Rec__Socket *m);

/* ---- socket-tcp-peer.c ---- */

struct tcp_end {
	int state;      /* TCP_ESTABLISHED, ... */
	uint32_t inode; /* 0: no process has it: closed, or not accepted yet */
	uint32_t uid;
};

/* The other end of the connection m, where it is on this machine.  -ENOENT: it is not. */
int tcp_other_end(const Rec__Socket *m, struct tcp_end *ret);
bool inet_is_local(const ProtobufCBinaryData *address);
/* For people: who has it; the caller frees. */
char *tcp_holder(struct capture *c, const Rec__Socket *m, const struct tcp_end *end);

/* ---- socket-tcp-pair.c ---- */

int tcp_pair_check(const struct rebuild *r, const Rec__Socket *m, struct error **err);
int tcp_pair_open(struct rebuild *r, const Rec__Socket *m, struct error **err);
/* A connection that has ended, with what was not read yet; or -errno. */
int tcp_ended_open(const Rec__Socket *m);

/* ---- socket-tcp-repair.c ---- */

/* Takes out of repair mode what a killed checkpoint left in it. */
void tcp_repair_mend(int fd);
/* Fills m->repair where that is permitted; 0 as well where it is not. */
int tcp_repair_capture(const struct file *f, Rec__Socket *m, int state, struct error **err);
/* Nothing has come since, that would be lost. */
int tcp_repair_may_end(const struct file *f, const Rec__Socket *m, struct error **err);
/* So that the peer hears nothing when it is closed. */
void tcp_repair_forget(int fd);
bool tcp_repair_is_consistent(const Rec__Socket *m);
int tcp_repair_check(const Rec__Socket *m, struct error **err);
int tcp_repair_open(const Rec__Socket *m, struct error **err);
/* From here on it speaks with its peer. */
int tcp_repair_finish(int fd, const Rec__Socket *m, struct error **err);

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
