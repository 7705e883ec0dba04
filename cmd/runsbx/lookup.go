package main

import (
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/sandbox"
)

// lookup finds the program as execvp(3) does, which differs from exec.LookPath: a relative
// directory in PATH is searched as well, and a file that is there but cannot be executed is
// reported as such. The error is a *sandbox.StartError.
func lookup(name, path string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	var denied error
	if name != "" {
		for dir := range strings.SplitSeq(path, ":") {
			file := dir + "/" + name
			if dir == "" {
				file = "./" + name
			}
			info, err := os.Stat(file)
			switch {
			case err != nil:
				if os.IsPermission(err) {
					denied = syscall.EACCES
				}
			case !info.Mode().IsRegular(), unix.Faccessat(unix.AT_FDCWD, file, unix.X_OK, unix.AT_EACCESS) != nil:
				denied = syscall.EACCES
			default:
				return file, nil
			}
		}
	}
	if denied != nil {
		return "", &sandbox.StartError{Path: name, Err: denied}
	}
	return "", &sandbox.StartError{Path: name, Err: exec.ErrNotFound}
}

// searchPath returns PATH, or what execvp(3) searches when it is not set.
func searchPath() string {
	if path, ok := os.LookupEnv("PATH"); ok {
		return path
	}
	return "/bin:/usr/bin"
}

// environ returns the environment as this process got it. Unlike os.Environ it keeps duplicates
// and entries without "=", as a program that is run natively would see them.
func environ() []string {
	b, err := os.ReadFile("/proc/self/environ")
	if err != nil {
		return os.Environ()
	}
	if len(b) == 0 {
		return []string{}
	}
	return strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
}
