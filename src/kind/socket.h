/*
 * What the files of this kind share: socket.c (all sockets), socket-options.c, socket-inet.c and
 * socket-tcp*.c (TCP and UDP) and those of Unix sockets: socket-unix.c (capture), socket-outside.c (peers
 * that are not in the tree), socket-queue.c and socket-peek.c (what waits to be read),
 * socket-diag.c, socket-connect.c and socket-fill.c (restore).
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
/* It can be an address of that family. */
bool socket_address_fits(const ProtobufCBinaryData *address, uint32_t family);
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
/* Somebody listens where it stands. */
bool tcp_was_accepted(const Rec__Socket *m);
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
/* Nothing has come or gone since, that would be lost. */
int tcp_repair_may_end(const struct file *f, const Rec__Socket *m, struct error **err);
/* So that the peer hears nothing when it is closed. */
void tcp_repair_forget(int fd);
bool tcp_repair_is_consistent(const Rec__Socket *m);
int tcp_repair_check(const Rec__Socket *m, struct error **err);
int tcp_repair_open(const Rec__Socket *m, struct error **err);
/* From here on it speaks with its peer. */
int tcp_repair_finish(int fd, const Rec__Socket *m, struct error **err);

/* ---- socket-multicast.c ---- */

int multicast_capture(const struct file *f, Rec__Socket *m, struct error **err);
/* Pure. */
bool multicast_is_consistent(const Rec__Socket *m);
int multicast_join(int fd, const Rec__Socket *m, struct error **err);

/* ---- socket-netlink.c ---- */

int netlink_capture(struct file *f, Rec__Socket *m, struct error **err);
int netlink_validate(const Rec__Socket *m, struct error **err);
int netlink_check(const Rec__Socket *m, struct error **err);
int netlink_open(const Rec__Socket *m, struct error **err);

/* ---- Unix sockets: socket-unix.c ---- */

bool is_unix_socket(const struct file *f);
int unix_capture(struct capture *c, struct file *f, Rec__Socket *m, struct error **err);

/* ---- socket-outside.c ---- */

/*
 * A connection to a socket outside the tree: as the user has said, else refused.  peer: the
 * inode of that socket, 0: not known.
 */
int outside_capture(struct capture *c, struct file *f, uint32_t peer, Rec__Socket *m,
		    struct error **err);

/* ---- socket-queue.c ---- */

/* Adds the descriptions that are on their way in what waits to be read. */
int queue_discover(struct capture *c, struct file *f, struct error **err);
/* What waits to be read, into m->content or m->messages. */
int queue_capture(struct capture *c, struct file *f, Rec__Socket *m, struct error **err);

/*
 * The kernel hides empty messages from SO_PEEK_OFF that were looked at once, as by an earlier
 * checkpoint: refuses when the other end of a pair is charged for more than what was seen.
 */
int queue_complete(const struct file *f, const struct file *sender, const Rec__Socket *m,
		   struct error **err);

/* ---- socket-peek.c ---- */

#define PASSED_MAX 253 /* SCM_MAX_FD: descriptors in one message */

struct peeked_message {
	const char *data;
	uint32_t size, name_size, passed;
	struct sockaddr_storage name; /* of the sender */
	bool told;                    /* who is known */
	struct ucred who;
	int fds[PASSED_MAX];          /* owned */
};

struct peeked {
	char *text;
	VEC(struct peeked_message) messages;
};

/* All that waits in the socket.  ended: its other end sends no more. */
int unix_peek(int fd, int type, bool ended, struct peeked *ret);
void peeked_free(struct peeked *p);
#define cleanup_peeked __attribute__((cleanup(peeked_free)))

/* ---- socket-check.c ---- */

/* The record is possible in itself (pure), ... */
int unix_validate(const Rec__Socket *m, struct error **err);
/* ... among the others of the image, here and now. */
int unix_check(const struct rebuild *r, const Rec__Socket *m, struct error **err);

/* ---- socket-connect.c ---- */

int unix_open(struct rebuild *r, const Rec__Socket *m, struct error **err);
/* The restore failed: the file of its name goes, if it was not there before. */
void unix_undo(const struct rebuild *r, const Rec__Socket *m);
/* The record of a Unix socket that is to be made; NULL: there is none with this id. */
const Rec__Socket *unix_record(const struct rebuild *r, uint32_t id);
/* The other end of a pair of the image; NULL: it is not there. */
const Rec__Socket *unix_other_end(const struct rebuild *r, const Rec__Socket *m);
/* The file that an address names, as the program wrote it; NULL: it is no path. */
char *unix_path(const ProtobufCBinaryData *address);
bool same_address(const ProtobufCBinaryData *a, const ProtobufCBinaryData *b);
/*
 * Runs a call in the directory in which an address begins that is a relative path: the
 * address must be the very text that the program gave.
 */
int unix_in_directory(const char *directory, int fd, const void *arg,
		      int (*call)(int fd, const void *arg));
/* For that: arg is the address. */
int unix_call_bind(int fd, const void *arg);
int unix_call_connect(int fd, const void *arg);
/* Connects to the socket of the image to, which must have its name. */
int unix_connect_to(int fd, const Rec__Socket *to);
/* SO_PASSCRED makes a socket without a name take one when it connects or sends: off, or back. */
bool unix_hush(int fd);
void unix_unhush(int fd, bool was);
/* Its record says so, or the user did. */
bool unix_alone(const struct rebuild *r, const Rec__Socket *m);
/* What waits in it is written by a process of the program: unix_settle(). */
bool unix_has_writer(const struct rebuild *r, const Rec__Socket *m);

/* ---- socket-fill.c ---- */

/* What waited to be read is written again, into all of them at once. */
int unix_fill_done(struct rebuild *r, struct rebuilt_file *f, struct error **err);
/* What only the process itself can send: what the receiver is told credentials of. */
int unix_settle(struct rebuild *r, const Rec__Socket *m, int fd, struct batch *b,
		struct error **err);

/* ---- socket-diag.c ---- */

struct unix_state {
	bool listening;
	uint32_t shutdown; /* 1: reading, 2: writing */
	bool connected;    /* to peer: */
	uint32_t peer;     /* inode of that socket; 0: it is closed, or accept(2) has not given it one */
	uint32_t file;     /* inode of the file that it is bound to; 0: none */
	uint32_t queued;   /* listening: connections that wait to be accepted; else bytes */
	uint32_t backlog;  /* listening */
};

/* Of the socket with this inode.  -ENOENT: there is none in this network namespace. */
int unix_state(uint32_t inode, struct unix_state *ret);
/*
 * Of a listening socket: the inodes of those that wait to be accepted, in order, malloc'ed; 0: one
 * that is closed by now.  Returns how many.
 */
int unix_waiting(uint32_t inode, uint32_t **ret);
