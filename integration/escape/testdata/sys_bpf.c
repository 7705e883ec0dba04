// bpf: many escalations (CVE-2020-8835, CVE-2021-3490).
#include "escape.h"
#include <linux/bpf.h>
int main(void)
{
	union bpf_attr a = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
	HOST(syscall(SYS_bpf, BPF_MAP_CREATE, &a, sizeof a));
	escaped();
}
