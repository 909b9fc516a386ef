/*
 * A program as a stranger would write it for an Orin: it includes nothing of doorbell's, and its numbers
 * are typed by hand from the tables of the driver's interface, so that it disagrees when one of ours is
 * wrong. It submits one semaphore release through a channel of its own and waits for it.
 *
 * Arguments, in any number: `fork` does everything in a child first; `die` ends with SIGKILL while the
 * channel is in use; `close` checks what the driver says about descriptors that were closed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GET_CHARACTERISTICS 0xc0104705u
#define ALLOC_AS 0xc0404708u
#define OPEN_TSG 0xc0184709u
#define OPEN_CHANNEL 0xc004470bu
#define AS_BIND_CHANNEL 0xc0044101u
#define AS_MAP_BUFFER_EX 0xc0284107u
#define TSG_BIND_CHANNEL_EX 0xc018540bu
#define TSG_CREATE_SUBCONTEXT 0xc0105412u
#define CHANNEL_WDT 0x40084877u
#define CHANNEL_ALLOC_OBJ_CTX 0xc010486cu
#define CHANNEL_SET_ERROR_NOTIFIER 0xc018486fu
#define CHANNEL_GET_TIMEDOUT 0x8004480cu
#define CHANNEL_SETUP_BIND 0xc0684880u
#define NVMAP_CREATE 0xc0084e00u
#define NVMAP_ALLOC 0x40144e03u
#define NVMAP_FREE 0x00004e04u
#define NVMAP_GET_FD 0xc0084e0fu

#define ENTRIES 512u
#define PAYLOAD 0xdeadbeef42ull

#define CHECK(condition)                                                                              \
	do {                                                                                          \
		if (!(condition)) {                                                                   \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition,            \
				strerror(errno));                                                     \
			exit(1);                                                                      \
		}                                                                                     \
	} while (0)

struct buffer {
	uint32_t handle;
	int fd;
	uint64_t va;
	volatile uint32_t *words;
};

static struct buffer allocate(int nvmap, int space, uint32_t size)
{
	struct buffer buffer;
	struct { uint32_t size, handle; } create = { size, 0 };
	struct { uint32_t handle, heaps, flags, align; int32_t node; } alloc;
	struct { int32_t fd; uint32_t handle; } get;
	struct {
		uint32_t flags;
		int16_t compressed_kind, kind;
		uint32_t fd, page_size;
		uint64_t buffer_offset, size, va;
	} map;

	CHECK(ioctl(nvmap, NVMAP_CREATE, &create) == 0);
	alloc.handle = create.handle;
	alloc.heaps = 1u << 30;
	alloc.flags = 0x0900u << 16 | 1;
	alloc.align = 4096;
	alloc.node = -1;
	CHECK(ioctl(nvmap, NVMAP_ALLOC, &alloc) == 0);
	get.fd = -1;
	get.handle = create.handle;
	CHECK(ioctl(nvmap, NVMAP_GET_FD, &get) == 0);
	memset(&map, 0, sizeof map);
	map.compressed_kind = -1;
	map.fd = get.fd;
	map.page_size = 4096;
	CHECK(ioctl(space, AS_MAP_BUFFER_EX, &map) == 0);
	buffer.handle = create.handle;
	buffer.fd = get.fd;
	buffer.va = map.va;
	buffer.words = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, get.fd, 0);
	CHECK(buffer.words != MAP_FAILED);
	return buffer;
}

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static void is_a_device(const char *path)
{
	struct stat stat;
	CHECK(access(path, R_OK | W_OK) == 0);
	CHECK(lstat(path, &stat) == 0);
	CHECK(S_ISCHR(stat.st_mode) && (stat.st_mode & 0777) == 0660);
}

static void release(int die, int close_all)
{
	uint8_t characteristics[328];
	struct { uint64_t size, address; } get = { sizeof characteristics, (uintptr_t)characteristics };
	struct {
		uint32_t big_page_size;
		int32_t fd;
		uint32_t flags, reserved;
		uint64_t start, end, split;
		uint32_t padding[6];
	} as = { 0, -1, 2, 0, 0x200000, 0xff00000000, 0, { 0 } };
	struct { uint32_t fd, flags; uint64_t instance, token; } tsg = { 0, 0, 0, 0 };
	struct { int32_t fd; } channel = { -1 }, bind;
	struct { uint32_t type; int32_t fd; uint32_t veid, reserved; } subcontext = { 1, 0, 0, 0 };
	struct { int32_t fd; uint32_t veid; uint8_t reserved[16]; } join = { 0, 0, { 0 } };
	struct { uint32_t status, timeout; } watchdog = { 1, 0 };
	struct {
		uint32_t entries, jobs, flags;
		int32_t userd, ring;
		uint32_t token;
		uint64_t userd_offset, ring_offset, ring_va, userd_va, usermode_va;
		uint32_t reserved[9];
	} setup;
	struct { uint32_t class, flags; uint64_t id; } object = { 0xc7c0, 0, 0 };
	struct { uint64_t offset, size; uint32_t mem, padding; } notifier = { 0, 16, 0, 0 };
	struct buffer ring, userd, error, push, slot;
	volatile uint32_t *registers;
	uint32_t compute, timed_out = 9;
	uint64_t payload, timestamp;
	double deadline;
	int nvmap, ctrl;

	is_a_device("/dev/nvmap");
	is_a_device("/dev/nvgpu/igpu0/ctrl");
	nvmap = open("/dev/nvmap", O_RDWR | O_SYNC | O_CLOEXEC);
	CHECK(nvmap >= 0);
	ctrl = open("/dev/nvgpu/igpu0/ctrl", O_RDWR | O_CLOEXEC);
	CHECK(ctrl >= 0);
	CHECK(ioctl(ctrl, GET_CHARACTERISTICS, &get) == 0);
	CHECK(get.size == sizeof characteristics);
	memcpy(&compute, characteristics + 80, 4);
	CHECK(compute == 0xc7c0);

	CHECK(ioctl(ctrl, ALLOC_AS, &as) == 0);
	CHECK(ioctl(ctrl, OPEN_TSG, &tsg) == 0);
	CHECK(ioctl(ctrl, OPEN_CHANNEL, &channel) == 0);
	bind.fd = channel.fd;
	CHECK(ioctl(as.fd, AS_BIND_CHANNEL, &bind) == 0);
	subcontext.fd = as.fd;
	CHECK(ioctl(tsg.fd, TSG_CREATE_SUBCONTEXT, &subcontext) == 0);
	join.fd = channel.fd;
	join.veid = subcontext.veid;
	CHECK(ioctl(tsg.fd, TSG_BIND_CHANNEL_EX, &join) == 0);
	CHECK(ioctl(channel.fd, CHANNEL_WDT, &watchdog) == 0);

	ring = allocate(nvmap, as.fd, 4096);
	userd = allocate(nvmap, as.fd, 4096);
	memset(&setup, 0, sizeof setup);
	setup.entries = ENTRIES;
	setup.flags = 0xa;
	setup.userd = userd.fd;
	setup.ring = ring.fd;
	CHECK(ioctl(channel.fd, CHANNEL_SETUP_BIND, &setup) == 0);
	CHECK(ioctl(channel.fd, CHANNEL_ALLOC_OBJ_CTX, &object) == 0);
	error = allocate(nvmap, as.fd, 4096);
	notifier.mem = error.fd;
	CHECK(ioctl(channel.fd, CHANNEL_SET_ERROR_NOTIFIER, &notifier) == 0);

	registers = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, ctrl, 0);
	CHECK(registers != MAP_FAILED);

	push = allocate(nvmap, as.fd, 4096);
	slot = allocate(nvmap, as.fd, 4096);
	push.words[0] = 0x20050017;
	push.words[1] = (uint32_t)slot.va;
	push.words[2] = slot.va >> 32;
	push.words[3] = (uint32_t)PAYLOAD;
	push.words[4] = PAYLOAD >> 32;
	push.words[5] = 0x03100001;
	*(volatile uint64_t *)ring.words = push.va | 6ull << 42;
	__sync_synchronize();
	userd.words[0x8c / 4] = 1;
	__sync_synchronize();
	registers[0x90 / 4] = setup.token;
	if (die)
		kill(getpid(), SIGKILL);

	deadline = seconds() + 10;
	do {
		payload = *(volatile uint64_t *)slot.words;
		CHECK(seconds() < deadline);
	} while (payload != PAYLOAD);
	timestamp = *(volatile uint64_t *)(slot.words + 2);
	CHECK(timestamp != 0);
	CHECK(userd.words[0x88 / 4] == 1);
	CHECK(error.words[3] >> 16 != 0xffff);
	CHECK(ioctl(channel.fd, CHANNEL_GET_TIMEDOUT, &timed_out) == 0 && timed_out == 0);
	printf("payload %#llx at %llu ns, token %u\n", (unsigned long long)payload,
	       (unsigned long long)timestamp, setup.token);

	if (close_all) {
		CHECK(close(channel.fd) == 0);
		CHECK(ioctl(channel.fd, CHANNEL_GET_TIMEDOUT, &timed_out) == -1 && errno == EBADF);
		CHECK(close(tsg.fd) == 0);
		CHECK(close(as.fd) == 0);
		/* Handle and mapping outlive the descriptor, and the handle gives a new one. */
		struct { int32_t fd; uint32_t handle; } again = { -1, slot.handle };
		CHECK(close(slot.fd) == 0);
		CHECK(ioctl(nvmap, NVMAP_GET_FD, &again) == 0);
		volatile uint64_t *view = mmap(NULL, 4096, PROT_READ, MAP_SHARED, again.fd, 0);
		CHECK(view != MAP_FAILED && *view == PAYLOAD);
		CHECK(ioctl(nvmap, NVMAP_FREE, slot.handle) == 0);
		CHECK(ioctl(nvmap, NVMAP_GET_FD, &again) == -1);
	}
	fflush(stdout);
}

int main(int argc, char **argv)
{
	int die = 0, close_all = 0;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "die") == 0)
			die = 1;
		if (strcmp(argv[i], "close") == 0)
			close_all = 1;
		if (strcmp(argv[i], "fork") == 0) {
			int status;
			pid_t child = fork();
			CHECK(child >= 0);
			if (child == 0) {
				release(0, close_all);
				_exit(0);
			}
			CHECK(waitpid(child, &status, 0) == child && status == 0);
		}
	}
	release(die, close_all);
	return 0;
}
