package main

import (
	"os/exec"
	"path/filepath"
)

// contestant runs a program in some way.
type contestant struct {
	name   string
	prefix []string // what goes before the program's own command
	floor  bool     // runs the calls only: it is too simple for real work
}

// contestants returns those that are installed; native is the first, against which the others are held.
// dir holds what was compiled, and is where workloads may write.
func contestants(dir, runsbx string) []contestant {
	floor := filepath.Join(dir, "floor")
	all := []contestant{
		{name: "native"},
		{name: "floor: notification", prefix: []string{floor, "notify"}, floor: true},
		{name: "floor: one stop", prefix: []string{floor, "stop"}, floor: true},
		{name: "floor: two stops, one cpu", prefix: []string{floor, "-p", "stop2"}, floor: true},
		{name: "runsbx", prefix: []string{runsbx, "run", "--"}},
		{name: "runsbx --unconfined", prefix: []string{runsbx, "run", "--unconfined", "--"}},
	}
	// Others, with what comes nearest: every memory call stopped, or files confined.
	for _, c := range []contestant{
		{name: "strace --seccomp-bpf", prefix: []string{"strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null",
			"-e", "trace=mmap,munmap,mprotect,brk,mremap,mlock,munlock"}},
		{name: "proot", prefix: []string{"proot", "-r", "/"}},
		{name: "bubblewrap", prefix: []string{"bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--bind", dir, dir, "--unshare-net", "--"}},
		{name: "nsjail", prefix: []string{"nsjail", "-Q", "-Mo", "--chroot", "/", "--rw", "--disable_clone_newuser", "--"}},
		{name: "firejail", prefix: []string{"firejail", "--quiet", "--noprofile", "--"}},
		{name: "gVisor", prefix: []string{"runsc", "--ignore-cgroups", "--network=none", "do", "--"}},
	} {
		if path, err := exec.LookPath(c.prefix[0]); err == nil {
			c.prefix[0] = path
			all = append(all, c)
		}
	}
	return all
}
