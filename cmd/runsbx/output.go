package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/runsbx/runsbx/sandbox"
)

// openOutput opens the file of --trace or --report for writing, before anything runs. /dev/fd/N
// and its like mean descriptor N as it was handed over, whatever it is.
func openOutput(path string) (*os.File, error) {
	if fd, ok := inheritedFd(path); ok {
		// Every descriptor of runsbx's own is close-on-exec; one that was inherited is not.
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err == nil && flags&unix.FD_CLOEXEC != 0 {
			err = unix.EBADF
		}
		var dup int
		if err == nil {
			dup, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		}
		if err == nil {
			err = writable(dup)
		}
		if err != nil {
			return nil, fmt.Errorf("%q: %w", path, err)
		}
		return os.NewFile(uintptr(dup), path), nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return nil, pathError(path, err)
	}
	return f, nil
}

func inheritedFd(path string) (int, bool) {
	switch path {
	case "/dev/stdout":
		return 1, true
	case "/dev/stderr":
		return 2, true
	}
	for _, dir := range []string{"/dev/fd/", "/proc/self/fd/"} {
		if num, ok := strings.CutPrefix(path, dir); ok {
			fd, err := strconv.Atoi(num)
			return fd, err == nil && fd >= 0
		}
	}
	return 0, false
}

func writable(fd int) error {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err == nil && flags&unix.O_ACCMODE == unix.O_RDONLY {
		err = unix.EBADF
	}
	return err
}

// sameFile reports whether both are one regular file.
func sameFile(a, b *os.File) bool {
	x, err := a.Stat()
	if err != nil {
		return false
	}
	y, err := b.Stat()
	return err == nil && x.Mode().IsRegular() && os.SameFile(x, y)
}

// writeReport writes the report to the file that openOutput has opened. A regular file is
// replaced, so that nobody reads half of it.
func writeReport(f *os.File, path string, r *sandbox.Report) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	b = append(b, '\n')
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		if _, inherited := inheritedFd(path); !inherited && replaceFile(path, info, b) == nil {
			return f.Close()
		}
	}
	_, err = f.Write(b)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return pathError(path, err)
	}
	return nil
}

// replaceFile replaces the file at path, which is still the one that info describes, by one with
// the contents b. It fails where the directory does not allow that.
func replaceFile(path string, info os.FileInfo, b []byte) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	if now, err := os.Lstat(path); err != nil || !os.SameFile(info, now) {
		return errors.New("not the file that was opened")
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(b)
	err = errors.Join(err, tmp.Chmod(info.Mode().Perm()), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		os.Remove(tmp.Name())
	}
	return err
}
