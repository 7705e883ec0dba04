package confine

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Temp is a private temporary directory.
type Temp struct {
	Path string // absolute, without symbolic links
	dir  *os.File
}

// NewTemp makes a directory that nobody else may enter, in os.TempDir, or else where there is one for all.
func NewTemp() (*Temp, error) {
	path, err := os.MkdirTemp("", "runsbx-") // mode 0700
	for _, dir := range []string{"/tmp", "/var/tmp", "/dev/shm"} {
		if err == nil {
			break
		}
		if other, oerr := os.MkdirTemp(dir, "runsbx-"); oerr == nil {
			path, err = other, nil
		}
	}
	if err != nil {
		return nil, err
	}
	dir, err := os.Open(path)
	if err != nil {
		os.Remove(path)
		return nil, err
	}
	if path, err = os.Readlink("/proc/self/fd/" + strconv.Itoa(int(dir.Fd()))); err != nil {
		dir.Close()
		return nil, err
	}
	return &Temp{Path: path, dir: dir}, nil
}

// Remove removes the directory and all that is in it, also what the program has made inaccessible, when
// nobody works in it any more. It follows no symbolic link, and no directory is too deep: each is moved up
// before it is emptied.
func (t *Temp) Remove() error {
	defer t.dir.Close()
	top := int(t.dir.Fd())
	if err := unix.Fchmod(top, 0o700); err != nil {
		return fmt.Errorf("chmod %s: %w", t.Path, err)
	}
	moved := 0
	for {
		names, err := list(top)
		if err != nil {
			return fmt.Errorf("%s: %w", t.Path, err)
		}
		if len(names) == 0 {
			break
		}
		for _, name := range names {
			if err := removeEntry(top, name, top, &moved); err != nil {
				return fmt.Errorf("%s: %w", t.Path, err)
			}
		}
	}
	// If it is another by now, it is not empty, or not ours.
	if err := unix.Rmdir(t.Path); err != nil && err != unix.ENOENT {
		return fmt.Errorf("rmdir %s: %w", t.Path, err)
	}
	return nil
}

// removeEntry removes what is called name in dir. The directories that are in it come to be in top.
func removeEntry(dir int, name string, top int, moved *int) error {
	if err := unix.Unlinkat(dir, name, 0); err == nil || err == unix.ENOENT {
		return nil
	} else if err != unix.EISDIR && err != unix.EPERM && err != unix.EBUSY {
		return fmt.Errorf("unlink %q: %w", name, err)
	}
	fd, err := openDir(dir, name)
	if err != nil {
		return fmt.Errorf("open %q: %w", name, err)
	}
	defer unix.Close(fd)
	names, err := list(fd)
	if err != nil {
		return fmt.Errorf("read %q: %w", name, err)
	}
	for _, sub := range names {
		err := unix.Unlinkat(fd, sub, 0)
		if err == nil || err == unix.ENOENT {
			continue
		}
		if err != unix.EISDIR && err != unix.EPERM && err != unix.EBUSY {
			return fmt.Errorf("unlink %q: %w", sub, err)
		}
		if err := moveUp(fd, sub, top, moved); err != nil {
			return fmt.Errorf("move %q: %w", sub, err)
		}
	}
	if err := unix.Unlinkat(dir, name, unix.AT_REMOVEDIR); err != nil && err != unix.ENOENT {
		return fmt.Errorf("rmdir %q: %w", name, err)
	}
	return nil
}

// moveUp moves a directory to top, under a name that is not taken. It needs to be writable for that itself,
// since its ".." changes.
func moveUp(dir int, name string, top int, moved *int) error {
	if fd, err := openDir(dir, name); err != nil {
		return err
	} else {
		unix.Close(fd)
	}
	for {
		*moved++
		err := unix.Renameat2(dir, name, top, "."+strconv.Itoa(*moved), unix.RENAME_NOREPLACE)
		if err != unix.EEXIST {
			return err
		}
	}
}

// openDir opens a directory, of which the caller becomes the only one with permissions.
func openDir(dir int, name string) (int, error) {
	path, err := unix.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(path)
	through := "/proc/self/fd/" + strconv.Itoa(path)
	if err := unix.Chmod(through, 0o700); err != nil {
		return -1, err
	}
	return unix.Open(through, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}

// list returns the names in a directory.
func list(dir int) ([]string, error) {
	fd, err := unix.Openat(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), ".")
	defer f.Close()
	return f.Readdirnames(0)
}

// Environ returns env with the directory as TMPDIR, and as TMP and TEMP where they are set; and as HOME where
// that is set to a directory that kept reports to be out of reach: most programs take a home directory without
// anything in it for granted, and few one that they may not look into.
func (t *Temp) Environ(env []string, kept func(home string) bool) []string {
	out := make([]string, 0, len(env)+1)
	for _, e := range env {
		switch name, value, _ := strings.Cut(e, "="); name {
		case "HOME":
			if kept(value) {
				e = "HOME=" + t.Path
			}
			out = append(out, e)
		case "TMPDIR": // once, at the end
		case "TMP", "TEMP":
			out = append(out, name+"="+t.Path)
		default:
			out = append(out, e)
		}
	}
	return append(out, "TMPDIR="+t.Path)
}
