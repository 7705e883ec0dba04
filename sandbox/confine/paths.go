// Package confine is the policy of confinement: which files a program gets (Landlock), which system calls
// (seccomp), which capabilities, and its private temporary directory. It holds nobody to anything: package
// sandbox has the program take these on before its first instruction.
package confine

import (
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// System is a machine's file hierarchy.
type System struct {
	Root string // the directory that it begins at, "/" but in tests
	Home string // the user's home directory; "" when there is none
	// Hidden are directories that no grant of the system's own covers.
	Hidden []string
}

// This returns the hierarchy of this machine as the user of this process sees it. What HOME says is hidden
// as well, but it is not a home: programs are given a HOME of their own by their tests, for one.
func This() *System {
	s := &System{Root: "/"}
	if u, err := user.Current(); err == nil {
		s.Home = resolve(u.HomeDir)
	}
	for _, dir := range []string{s.Home, resolve(os.Getenv("HOME"))} {
		// A user of the system's may have a home such as /bin.
		if info, err := os.Stat(dir); err == nil && dir != "/" && (!ownedByRoot(info) || os.Getuid() == 0) &&
			!slices.Contains(shared, dir) && !slices.Contains(s.Hidden, dir) {
			s.Hidden = append(s.Hidden, dir)
		}
	}
	return s
}

// resolve returns an absolute path without symbolic links, "" when there is none.
func resolve(path string) string {
	if !filepath.IsAbs(path) {
		return ""
	}
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return ""
	}
	return path
}

func ownedByRoot(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Uid == 0
}

// Programs are where programs, their libraries and their data are.
var programs = []string{
	"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store", "/gnu/store",
}

// devices are what every program may use: they hold nothing of anybody's. The terminals of others are not
// among them, and so neither is /dev/pts.
var devices = []Grant{
	{"/dev/null", Read | Write}, {"/dev/zero", Read | Write}, {"/dev/full", Read | Write}, {"/dev/random", Read | Write},
	{"/dev/urandom", Read | Write}, {"/dev/tty", Read | Write | Device},
}

// resolver is where /etc/resolv.conf may lead to.
var resolver = []string{"/run/systemd/resolve/resolv.conf", "/run/systemd/resolve/stub-resolv.conf", "/run/resolvconf/resolv.conf", "/run/NetworkManager/resolv.conf"}

// machine is what programs look at of the machine they run on; /sys has more, such as the kernel's traces.
var machine = []string{
	"/sys/devices", "/sys/class", "/sys/bus", "/sys/block", "/sys/dev", "/sys/module", "/sys/fs/cgroup", "/sys/kernel/mm",
}

// depth is how far down /etc is searched for what others may not read. Below, all is as readable as its
// directory: secrets are kept higher up, and the kernel's own check of permissions is there in any case.
const depth = 3

// Grants returns what every program gets of the system: programs are readable and executable, its settings,
// /proc and what /sys says of the machine readable. What others may not read is not given, also to those who could: Landlock cannot
// take away from a directory, so that directories are given in parts then.
func (s *System) Grants(net bool) []Grant {
	var list []Grant
	for _, dir := range programs {
		list = append(list, s.without(s.path(dir), Read|Execute)...)
	}
	etc := s.path("/etc")
	if parts, whole := s.readable(etc, depth); whole {
		list = append(list, Grant{etc, Read})
	} else {
		list = append(append(list, Grant{etc, List}), parts...)
	}
	for _, dir := range machine {
		list = append(list, Grant{s.path(dir), Read})
	}
	list = append(list, Grant{s.path("/sys"), List})
	list = append(list, Grant{s.path("/proc"), Read})
	for _, d := range devices {
		list = append(list, Grant{s.path(d.Path), d.Access})
	}
	if net {
		for _, file := range resolver {
			list = append(list, Grant{s.path(file), Read})
		}
	}
	return list
}

func (s *System) path(p string) string { return filepath.Join(s.Root, p) }

// without grants a directory, leaving out what is hidden in it.
func (s *System) without(dir string, access Access) []Grant {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil
	}
	if !slices.ContainsFunc(s.Hidden, func(home string) bool { return within(home, dir) }) {
		return []Grant{{dir, access}}
	}
	if slices.Contains(s.Hidden, dir) {
		return nil
	}
	list := []Grant{{dir, List}}
	entries, _ := os.ReadDir(dir) // what it could read
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if e.Type()&fs.ModeSymlink != 0 {
			continue // where it leads to is given, or not, for itself
		}
		if e.IsDir() {
			list = append(list, s.without(path, access)...)
		} else {
			list = append(list, Grant{path, access})
		}
	}
	return list
}

// readable returns grants for what in path, which is no symbolic link, others may read: whole says that
// this is all of it.
func (s *System) readable(path string, depth int) (parts []Grant, whole bool) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, false
	}
	const othersRead, othersSearch = 0o004, 0o001
	mode := info.Mode()
	switch {
	case !mode.IsDir():
		return nil, mode.Perm()&othersRead != 0
	case mode.Perm()&(othersRead|othersSearch) != othersRead|othersSearch:
		return nil, false
	case depth == 0:
		return nil, true
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, false
	}
	whole = true
	var own []Grant
	for _, e := range entries {
		if e.Type()&fs.ModeSymlink != 0 {
			continue // what it leads to is given, or not, for itself
		}
		name := filepath.Join(path, e.Name())
		more, all := s.readable(name, depth-1)
		if parts = append(parts, more...); all {
			own = append(own, Grant{name, Read})
		}
		whole = whole && all
	}
	if whole {
		return nil, true
	}
	return append(parts, own...), false
}

// within reports whether path is dir or below it. Both are clean.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// Why says why a program does not get its working directory.
type Why string

// Reasons.
const (
	HomeItself Why = "a home directory"
	HomeBelow  Why = "above the home directory"
	SystemsOwn Why = "one of the system's directories"
)

// never are hierarchies that are not given because a program was started somewhere in them, and shared those
// that are not given as a whole.
var (
	never  = []string{"/proc", "/sys", "/dev", "/run", "/etc", "/boot"}
	shared = []string{"/usr", "/usr/local", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/usr/bin", "/usr/sbin",
		"/usr/lib", "/usr/share", "/var", "/var/lib", "/var/run", "/home", "/root", "/srv", "/mnt", "/media", "/nix", "/gnu"}
)

// Working decides whether a program gets the directory that it is started in, which is clean and without
// symbolic links: "" when it does. Started in the home directory it would get all that
// is to be kept from it.
func (s *System) Working(dir string) Why {
	switch {
	case s.Home == "":
	case s.Home == dir:
		return HomeItself
	case within(s.Home, dir):
		return HomeBelow
	}
	for _, d := range never {
		if within(dir, s.path(d)) {
			return SystemsOwn
		}
	}
	if dir == s.path("/") || slices.ContainsFunc(shared, func(d string) bool { return dir == s.path(d) }) {
		return SystemsOwn
	}
	if filepath.Dir(dir) == s.path("/home") {
		return HomeItself // somebody's
	}
	return ""
}
