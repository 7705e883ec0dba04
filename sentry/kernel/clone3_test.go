package kernel

import (
	"encoding/binary"
	"testing"

	"github.com/runsbx/runsbx/sentry/linux"
)

func TestClone3(t *testing.T) {
	// The fields in their order: flags, pidfd, child_tid, parent_tid, exit_signal, stack,
	// stack_size, tls, set_tid, set_tid_size, cgroup.
	const thread = linux.CLONE_VM | linux.CLONE_FS | linux.CLONE_FILES | linux.CLONE_SIGHAND | linux.CLONE_THREAD
	for _, tc := range []struct {
		name   string
		fields []uint64
		want   [6]uint64
		errno  linux.Errno
	}{
		{"fork", []uint64{0, 0, 0, 0, 17, 0, 0, 0}, [6]uint64{17}, 0},
		{"thread", []uint64{thread | linux.CLONE_PARENT_SETTID, 9, 1, 2, 0, 0x1000, 0x3000, 5},
			[6]uint64{thread | linux.CLONE_PARENT_SETTID, 0x4000, 2, 1, 5}, 0},
		{"pidfd", []uint64{linux.CLONE_PIDFD, 9, 1, 2, 17, 0, 0, 0}, [6]uint64{linux.CLONE_PIDFD | 17, 0, 9, 1}, 0},
		{"newer, unused", append(make([]uint64, 11), 0), [6]uint64{}, 0},
		{"newer, used", append(make([]uint64, 11), 1), [6]uint64{}, linux.E2BIG},
		{"unknown flag", []uint64{1 << 34, 0, 0, 0, 17, 0, 0, 0}, [6]uint64{}, linux.EINVAL},
		{"signal in flags", []uint64{17, 0, 0, 0, 0, 0, 0, 0}, [6]uint64{}, linux.EINVAL},
		{"no such signal", []uint64{0, 0, 0, 0, 65, 0, 0, 0}, [6]uint64{}, linux.EINVAL},
		{"thread with a signal", []uint64{thread, 0, 0, 0, 17, 0, 0, 0}, [6]uint64{}, linux.EINVAL},
		{"stack without size", []uint64{0, 0, 0, 0, 17, 0x1000, 0, 0}, [6]uint64{}, linux.EINVAL},
		{"stack in the kernel", []uint64{0, 0, 0, 0, 17, 0x7fffffffe000, 0x2000, 0}, [6]uint64{}, linux.EINVAL},
		{"set_tid without size", []uint64{0, 0, 0, 0, 17, 0, 0, 0, 1}, [6]uint64{}, linux.EINVAL},
		{"cgroup, short structure", []uint64{linux.CLONE_INTO_CGROUP, 0, 0, 0, 17, 0, 0, 0}, [6]uint64{}, linux.EINVAL},
		{"set_tid", []uint64{0, 0, 0, 0, 17, 0, 0, 0, 1, 1}, [6]uint64{}, linux.ENOSYS},
		{"no handlers", []uint64{linux.CLONE_CLEAR_SIGHAND, 0, 0, 0, 17, 0, 0, 0}, [6]uint64{}, linux.ENOSYS},
		{"time namespace", []uint64{linux.CLONE_NEWTIME, 0, 0, 0, 17, 0, 0, 0}, [6]uint64{}, linux.ENOSYS},
		{"pidfd and thread id", []uint64{linux.CLONE_PIDFD | linux.CLONE_PARENT_SETTID, 0, 0, 0, 17, 0, 0, 0}, [6]uint64{}, linux.ENOSYS},
	} {
		var raw []byte
		for _, v := range tc.fields {
			raw = binary.LittleEndian.AppendUint64(raw, v)
		}
		if got, errno := Clone3(raw); errno != tc.errno || errno == 0 && got != tc.want {
			t.Errorf("%s: %#x, %s; want %#x, %s", tc.name, got, errno.Name(), tc.want, tc.errno.Name())
		}
	}
	for size, want := range map[uint64]linux.Errno{63: linux.EINVAL, 64: 0, 4096: 0, 4097: linux.E2BIG} {
		if got := CheckCloneArgsSize(size); got != want {
			t.Errorf("size %d: %s, want %s", size, got.Name(), want.Name())
		}
	}
}
