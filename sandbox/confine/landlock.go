package confine

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Access is what a program may do with a file, or with everything in a directory.
type Access uint8

const (
	// Read is reading files, and listing directories.
	Read Access = 1 << iota
	// List is listing directories alone.
	List
	// Execute is executing files.
	Execute
	// Write is writing, creating, removing and renaming.
	Write
	// Device is ioctl(2) on devices.
	Device
)

// Grant gives access to a file, or to a directory and everything in it.
type Grant struct {
	Path   string
	Access Access
}

// Covers reports whether a path is the grant's or below it. Both are clean and without symbolic links.
func (g Grant) Covers(path string) bool { return within(path, g.Path) }

// Rights of Landlock, by the ABI that has them (linux/landlock.h). Devices are never made.
const (
	rightsRead  = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	rightsWrite = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE |
		unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SYM |
		unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_REFER
	// rightsFile are those that a rule for something else than a directory may have.
	rightsFile = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_READ_FILE |
		unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV

	rightsABI1 = unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1
	rightsTCP  = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
)

// rights returns an access as Landlock's rights.
func (a Access) rights() (r uint64) {
	for _, x := range [...]struct {
		access Access
		rights uint64
	}{
		{Read, rightsRead}, {List, unix.LANDLOCK_ACCESS_FS_READ_DIR}, {Execute, unix.LANDLOCK_ACCESS_FS_EXECUTE},
		{Write, rightsWrite}, {Device, unix.LANDLOCK_ACCESS_FS_IOCTL_DEV},
	} {
		if a&x.access != 0 {
			r |= x.rights
		}
	}
	return r
}

// rulesetAttr is struct landlock_ruleset_attr.
type rulesetAttr struct{ fs, net, scoped uint64 }

// size is how much of it an ABI knows.
func (*rulesetAttr) size(abi int) uintptr {
	switch {
	case abi >= 6:
		return 24
	case abi >= 4:
		return 16
	}
	return 8
}

// handled is what a ruleset restricts: everything that the ABI can.
func handled(abi int, net bool) rulesetAttr {
	a := rulesetAttr{fs: rightsABI1}
	if abi >= 2 {
		a.fs |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if abi >= 3 {
		a.fs |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if abi >= 4 && !net {
		a.net = rightsTCP
	}
	if abi >= 5 {
		a.fs |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if abi >= 6 {
		a.scoped = unix.LANDLOCK_SCOPE_SIGNAL
		if !net {
			a.scoped |= unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
		}
	}
	return a
}

// ABI returns the version of Landlock that the kernel has; 0 when it has none, or it is off.
func ABI() int {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(v)
}

// Ruleset is what Landlock will permit.
type Ruleset struct {
	*os.File
	attr rulesetAttr
}

// NewRuleset returns a ruleset that permits nothing of what this ABI can restrict; with net, TCP is not
// restricted, nor are abstract unix sockets.
func NewRuleset(abi int, net bool) (*Ruleset, error) {
	r := &Ruleset{attr: handled(abi, net)}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&r.attr)), r.attr.size(abi), 0)
	if errno != 0 {
		return nil, fmt.Errorf("landlock_create_ruleset: %w", errno)
	}
	r.File = os.NewFile(fd, "landlock-ruleset")
	return r, nil
}

// Add permits what g grants. The errno of open(2) is its error when the path cannot be reached.
func (r *Ruleset) Add(g Grant) error {
	fd, err := unix.Open(g.Path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: g.Path, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &os.PathError{Op: "stat", Path: g.Path, Err: err}
	}
	// struct landlock_path_beneath_attr, which is packed: 8 bytes and 4.
	attr := struct {
		allowed uint64
		parent  int32
	}{g.Access.rights() & r.attr.fs, int32(fd)}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		attr.allowed &= rightsFile
	}
	if attr.allowed == 0 {
		return nil
	}
	const ruleWrongFD = unix.EBADFD // a pipe or the like, which Landlock does not restrict
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, r.Fd(), unix.LANDLOCK_RULE_PATH_BENEATH,
		uintptr(unsafe.Pointer(&attr)), 0, 0, 0)
	if errno != 0 && errno != ruleWrongFD {
		return &os.PathError{Op: "landlock_add_rule", Path: g.Path, Err: errno}
	}
	return nil
}

// AddAll adds all grants. What is not there, or is out of reach, is not granted.
func (r *Ruleset) AddAll(grants []Grant) error {
	for _, g := range grants {
		err := r.Add(g)
		var errno unix.Errno
		if errors.As(err, &errno) && unreachable(errno) {
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func unreachable(errno unix.Errno) bool {
	switch errno {
	case unix.ENOENT, unix.ENOTDIR, unix.EACCES, unix.ELOOP, unix.ENXIO:
		return true
	}
	return false
}
