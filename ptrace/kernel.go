package ptrace

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// sinceLinux returns a function that reports whether the kernel is at least of that version.
func sinceLinux(major, minor int) func() bool {
	return sync.OnceValue(func() bool {
		var uts unix.Utsname
		var a, b int
		if unix.Uname(&uts) != nil {
			return false
		}
		fmt.Sscanf(unix.ByteSliceToString(uts.Release[:]), "%d.%d", &a, &b)
		return a > major || a == major && b >= minor
	})
}
