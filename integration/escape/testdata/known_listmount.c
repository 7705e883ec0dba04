// All mounts of the system are told by listmount (458), as they are by /proc/self/mountinfo.
#include "escape.h"
int main(void)
{
	struct { uint32_t size, spare; uint64_t id, param; } r = {24, 0, -1, 0};
	uint64_t list[16];
	dprintf(1, "listmount %s, ", syscall(458, &r, list, 16L, 0L) < 0 ? strerrorname_np(errno) : "done");
	dprintf(1, "mountinfo %s\n", open("/proc/self/mountinfo", O_RDONLY) < 0 ? strerrorname_np(errno) : "done");
	return 1;
}
