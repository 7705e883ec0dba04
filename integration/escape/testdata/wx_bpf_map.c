// A BPF array is mapped executable.
#include "escape.h"
#include <linux/bpf.h>
int main(void)
{
	union bpf_attr a = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = PAGE, .max_entries = 1, .map_flags = BPF_F_MMAPABLE};
	int fd = HOST(syscall(SYS_bpf, BPF_MAP_CREATE, &a, sizeof a));
	void *w = TRY(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0)), *x = HOST(mmap(NULL, PAGE, RX, MAP_SHARED, fd, 0));
	write42(w);
	run42(x);
}
