/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The isolation at VMPL0: the pages are the driver's, mapped once; a crossing is one ioctl, in which this
 * CPU itself runs the service until it has nothing more to do in the lane. Nobody sleeps, nobody is woken.
 *
 * Nothing is copied: requests are written into the pages that the service reads, and answers are read
 * where it wrote them. The service's death shows as EPIPE; the one who sees it rings an eventfd.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "channel/impl.h"
#include "wire/uapi.h"
#include "wire/vmpl.h"

/* A host may drop the switch to VMPL0; then the service has not run, and asking again is harmless. */
#define TRIES 4

struct device {
	struct channel ch;	/* death_fd is the eventfd */
	const struct svsm_sys *sys;
	int fd;
	uint32_t protocol;
};

static struct device *device_of(struct channel *ch)
{
	return (struct device *)ch;	/* its first member */
}

static void ring(const struct channel *ch)
{
	const uint64_t one = 1;

	(void)!write(ch->death_fd, &one, sizeof(one));
}

/* Fails with errno. */
static bool call_lane(const struct device *d, uint32_t lane)
{
	int tries = 0;

	for (;;) {
		struct svsm_regs r = { .rax = (uint64_t)d->protocol << 32 | VMPL_CALL, .rcx = lane };

		if (d->sys->ioctl(d->fd, SVSM_IOC_CALL, &r) == 0)
			return true;
		if (errno != EINTR && (errno != EIO || ++tries == TRIES))
			return false;
	}
}

static bool svsm_cross(struct channel_lane *l)
{
	const struct device *d = device_of(l->ch);
	uint32_t done, before = __atomic_load_n(&RSP_CTL(l)->done, __ATOMIC_ACQUIRE);

	while (call_lane(d, (uint32_t)(l - l->ch->lane))) {
		done = __atomic_load_n(&RSP_CTL(l)->done, __ATOMIC_ACQUIRE);
		if (done == l->tail)
			return true;
		if (done == before)	/* it says that it has nothing to do */
			break;
		before = done;
	}
	ring(l->ch);
	return false;
}

/* One lane's death is everybody's: the driver starts a new service in the same pages. */
static enum rc svsm_restart(struct channel *ch, struct channel_error *err)
{
	const struct device *d = device_of(ch);
	uint64_t rings;
	int res;

	(void)!read(ch->death_fd, &rings, sizeof(rings));
	do {
		res = d->sys->ioctl(d->fd, SVSM_IOC_RESET, NULL);
	} while (res != 0 && errno == EINTR);
	if (res != 0)
		return channel_fail(err, "the key service at VMPL0 does not start again",
				    "see the kernel's log; restart this VM");
	return RC_OK;
}

/* The service itself stays until the restart: from here on nothing goes to it any more. */
static void svsm_kill(struct channel *ch)
{
	__atomic_store_n(&ch->up, 0, __ATOMIC_SEQ_CST);
	ring(ch);
}

static void svsm_close(struct channel *ch)
{
	struct device *d = device_of(ch);
	size_t len = CALL_AREA_LEN * ch->lanes;

	if (ch->req)
		d->sys->munmap(ch->req, len);
	if (ch->rsp)
		d->sys->munmap((void *)(uintptr_t)ch->rsp, len);
	if (d->fd >= 0)
		d->sys->close(d->fd);
	if (ch->death_fd >= 0)
		close(ch->death_fd);
	free(d);
}

static const struct channel_ops svsm_ops = {
	.cross = svsm_cross,
	.restart = svsm_restart,
	.kill = svsm_kill,
	.close = svsm_close,
};

static const char *remedy_of(int error)
{
	switch (error) {
	case ENOENT:
	case ENXIO:
		return "load the driver (modprobe svsm); it needs an SEV-SNP guest with our monitor at VMPL0";
	case EACCES:
	case EPERM:
		return "only root may use it";
	case EBUSY:
		return "another program has it; there is one key service, for one program";
	case ENODEV:
		return "the monitor at VMPL0 does not offer the key service";
	default:
		return "see the kernel's log";
	}
}

static enum rc ask(struct device *d, const char *name, uint32_t workers, struct channel_error *err)
{
	struct svsm_info info = { 0 };
	struct channel *ch = &d->ch;

	if (d->sys->ioctl(d->fd, SVSM_IOC_INFO, &info) != 0)
		return channel_fail(err, name, errno == ENOTTY ? "it is not the driver's device" : remedy_of(errno));
	if (info.version != SVSM_UAPI_VERSION || info.area_len != CALL_AREA_LEN || info.lanes < 2 ||
	    info.lanes > CALL_LANES_MAX ||
	    (info.isolation != ISOLATION_VMPL0_EMULATED && info.isolation != ISOLATION_VMPL0_SNP)) {
		snprintf(err->text, sizeof(err->text),
			 "%s: the driver is of another kind (interface %u, %u lanes of %llu bytes, isolation %u); "
			 "use the module that came with this program",
			 name, info.version, info.lanes, (unsigned long long)info.area_len, info.isolation);
		return RC_MACHINE;
	}
	d->protocol = info.protocol;
	ch->lanes = info.lanes;
	ch->workers = workers && workers < info.lanes ? workers : info.lanes - 1;
	ch->isolation = info.isolation;
	return RC_OK;
}

static enum rc map(struct device *d, const char *name, struct channel_error *err)
{
	struct channel *ch = &d->ch;
	size_t len = CALL_AREA_LEN * ch->lanes;
	void *p;

	p = d->sys->mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd, 0);
	if (p == MAP_FAILED)
		return channel_fail(err, name, "its request pages cannot be mapped");
	ch->req = p;
	p = d->sys->mmap(NULL, len, PROT_READ, MAP_SHARED, d->fd, (off_t)len);
	if (p == MAP_FAILED)
		return channel_fail(err, name, "its response pages cannot be mapped");
	ch->rsp = p;
	return RC_OK;
}

enum rc channel_open_svsm_on(const struct svsm_sys *sys, const char *name, uint32_t workers, struct channel **out,
			     struct channel_error *err)
{
	struct device *d = calloc(1, sizeof(*d));
	enum rc rc = RC_OK;

	snprintf(err->text, sizeof(err->text), "no memory");
	if (!d)
		return RC_NO_ROOM;
	d->sys = sys;
	d->ch = (struct channel){ .ops = &svsm_ops, .death_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .pid = -1 };
	d->fd = sys->open(name, O_RDWR | O_CLOEXEC);
	if (d->fd < 0)
		rc = channel_fail(err, name, remedy_of(errno));
	else if (d->ch.death_fd < 0)
		rc = channel_fail(err, "eventfd", "raise the limit of open files (ulimit -n)");
	if (rc == RC_OK)
		rc = ask(d, name, workers, err);
	if (rc == RC_OK)
		rc = map(d, name, err);
	if (rc == RC_OK)
		rc = channel_lanes_make(&d->ch);
	if (rc != RC_OK) {
		channel_close(&d->ch);
		return rc;
	}
	channel_started(&d->ch);
	*out = &d->ch;
	return RC_OK;
}

static int sys_open(const char *path, int flags)
{
	return open(path, flags);
}

static int sys_ioctl(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg);
}

enum rc channel_open_svsm(const char *device, uint32_t workers, struct channel **ch, struct channel_error *err)
{
	static const struct svsm_sys sys = { sys_open, close, sys_ioctl, mmap, munmap };

	return channel_open_svsm_on(&sys, device, workers, ch, err);
}
