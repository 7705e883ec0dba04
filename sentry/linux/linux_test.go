package linux

import "testing"

func TestSyscallName(t *testing.T) {
	for nr, want := range map[uint64]string{
		SYS_MMAP: "mmap", SYS_MSEAL: "mseal", SYS_READ: "read",
		9999: "syscall_9999", 1 << 63: "syscall_9223372036854775808",
	} {
		if got := SyscallName(nr); got != want {
			t.Errorf("%d: %q, want %q", nr, got, want)
		}
	}
}

func TestErrno(t *testing.T) {
	for e, want := range map[Errno]string{
		0: "", ENOMEM: "ENOMEM", EOPNOTSUPP: "EOPNOTSUPP", 4000: "errno_4000",
		ERESTARTSYS: "ERESTARTSYS", ERESTARTNOINTR: "ERESTARTNOINTR", ERESTARTNOHAND: "ERESTARTNOHAND",
		ERESTART_RESTARTBLOCK: "ERESTART_RESTARTBLOCK", 515: "errno_515",
	} {
		if got := e.Name(); got != want {
			t.Errorf("%d: %q, want %q", uint16(e), got, want)
		}
	}
	if got := ENOMEM.Error(); got != "ENOMEM: cannot allocate memory" {
		t.Errorf("got %q", got)
	}
	for e := Errno(1); int(e) < len(errnos); e++ {
		name := e.Name()
		if errnos[e].name == "" {
			continue // a hole in the table
		}
		if back, ok := ErrnoByName(name); !ok || back != e {
			t.Errorf("%s: back to %d, %v", name, back, ok)
		}
	}
	if _, ok := ErrnoByName(""); ok {
		t.Error("the empty name is an errno")
	}
	if _, ok := ErrnoByName("ENOSUCH"); ok {
		t.Error("ENOSUCH is an errno")
	}
}
