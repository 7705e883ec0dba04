package confine

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tree makes files and directories below a temporary directory: "name" or "name/" and a mode, "name" and
// "-> target".
func tree(t *testing.T, entries ...[2]string) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	modes := map[string]os.FileMode{"000": 0, "600": 0o600, "640": 0o640, "644": 0o644, "700": 0o700, "710": 0o710, "755": 0o755, "711": 0o711}
	for _, e := range entries {
		path := filepath.Join(root, e[0])
		var err error
		switch target, link := strings.CutPrefix(e[1], "-> "); {
		case link:
			err = os.Symlink(target, path)
		case strings.HasSuffix(e[0], "/"):
			if err = os.MkdirAll(path, 0o755); err == nil {
				err = os.Chmod(path, modes[e[1]])
			}
		default:
			if err = os.WriteFile(path, nil, 0o644); err == nil {
				err = os.Chmod(path, modes[e[1]])
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// access returns what grants say of a path, as Landlock would.
func access(root string, grants []Grant, path string) (a Access) {
	for _, g := range grants {
		if within(filepath.Join(root, path), g.Path) {
			a |= g.Access
		}
	}
	return a
}

func TestGrants(t *testing.T) {
	root := tree(t, [][2]string{
		{"usr/", "755"}, {"usr/bin/", "755"}, {"usr/bin/sh", "755"}, {"bin", "-> usr/bin"}, {"opt/", "755"},
		{"etc/", "755"}, {"etc/passwd", "644"}, {"etc/shadow", "640"}, {"etc/ssl/", "755"}, {"etc/ssl/certs/", "755"},
		{"etc/ssl/private/", "710"}, {"etc/ssl/private/key", "644"}, {"etc/ssh/", "755"}, {"etc/ssh/ssh_host_key", "600"},
		{"etc/ssh/ssh_config", "644"}, {"etc/alternatives/", "755"}, {"etc/alternatives/cc", "-> /root/secret"},
		{"etc/searchable/", "711"}, {"etc/searchable/file", "644"}, {"etc/secret-link", "-> shadow"},
		{"etc/a/", "755"}, {"etc/a/b/", "755"}, {"etc/a/b/c/", "755"}, {"etc/a/b/secret", "600"}, {"etc/a/b/open", "644"},
		{"dev/", "755"}, {"proc/", "755"}, {"sys/", "755"}, {"sys/kernel/", "755"}, {"sys/kernel/debug/", "700"},
		{"home/", "755"}, {"home/user/", "755"}, {"root/", "700"}, {"var/", "755"}, {"tmp/", "755"},
		{"run/", "755"}, {"run/systemd/", "755"}, {"run/systemd/resolve/", "755"},
	}...)
	s := System{Root: root, Hidden: []string{filepath.Join(root, "home/user")}}
	for _, net := range []bool{false, true} {
		grants := s.Grants(net)
		for path, want := range map[string]Access{
			"/": 0, "/usr/bin/sh": Read | Execute, "/opt": Read | Execute,
			"/etc": List, "/etc/passwd": Read | List, "/etc/shadow": List, "/etc/new": List, "/etc/secret-link": List,
			"/etc/ssl/certs/x": Read | List, "/etc/ssl/private/key": List, "/etc/ssh/ssh_host_key": List, "/etc/ssh/ssh_config": Read | List,
			"/etc/searchable/file": List, "/etc/a/b/secret": List, "/etc/a/b/open": Read | List, "/etc/a/b/c/deep": Read | List,
			"/proc/1/environ": Read, "/sys/devices/system": Read | List, "/sys/kernel/debug": List, "/sys/kernel/mm/x": Read | List,
			"/home/user/x": 0, "/root/x": 0, "/var/lib": 0, "/tmp/x": 0, "/run/x": 0, "/boot": 0, "/srv": 0,
			"/dev": 0, "/dev/null": Read | Write, "/dev/tty": Read | Write | Device, "/dev/pts/0": 0, "/dev/shm/x": 0, "/dev/sda": 0,
			"/dev/mem": 0, "/dev/kmsg": 0,
		} {
			if got := access(root, grants, path); got != want {
				t.Errorf("net %v: %s: %b, want %b", net, path, got, want)
			}
		}
		if got := access(root, grants, "/run/systemd/resolve/stub-resolv.conf"); (got == Read) != net {
			t.Errorf("net %v: resolv.conf: %b", net, got)
		}
	}
}

// TestGrantsHome: a home directory is left out of what is given, wherever it is.
func TestGrantsHome(t *testing.T) {
	root := tree(t, [][2]string{
		{"usr/", "755"}, {"usr/lib/", "755"}, {"usr/people/", "755"}, {"usr/people/me/", "755"}, {"usr/people/file", "644"},
		{"opt/", "755"}, {"opt/app/", "755"}, {"opt/app/bin/", "755"},
	}...)
	s := System{Root: root, Hidden: []string{filepath.Join(root, "usr/people/me"), filepath.Join(root, "opt/app")}}
	grants := s.Grants(false)
	for path, want := range map[string]Access{
		"/usr/lib/x": Read | Execute | List, "/usr/people/me/secret": List, "/usr/people/file": Read | Execute | List,
		"/opt/app/bin/x": List, "/opt": List,
	} {
		if got := access(root, grants, path); got != want {
			t.Errorf("%s: %b, want %b", path, got, want)
		}
	}
}

func TestWorking(t *testing.T) {
	s := System{Root: "/", Home: "/home/me", Hidden: []string{"/elsewhere"}}
	for dir, want := range map[string]Why{
		"/": HomeBelow, "/home/me": HomeItself, "/home": HomeBelow, "/home/me/project": "", "/home/other": HomeItself,
		"/home/other/project": "", "/elsewhere": "",
		"/etc": SystemsOwn, "/etc/nginx": SystemsOwn, "/proc/self": SystemsOwn, "/sys": SystemsOwn, "/dev/shm": SystemsOwn,
		"/run/user/1000": SystemsOwn, "/usr": SystemsOwn, "/usr/bin": SystemsOwn, "/usr/src/app": "", "/opt": SystemsOwn, "/opt/x": "",
		"/var": SystemsOwn, "/var/www": "", "/tmp": "", "/tmp/x": "", "/root": SystemsOwn, "/srv/x": "", "/app": "",
	} {
		if got := s.Working(dir); got != want {
			t.Errorf("%s: %q, want %q", dir, got, want)
		}
	}
	if got := (&System{Root: "/"}).Working("/"); got != SystemsOwn {
		t.Errorf("no home: %q", got)
	}
}

func TestProgram(t *testing.T) {
	root := tree(t, [][2]string{{"bin/", "755"}}...)
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write("bin/inner", "#! "+root+"/bin/outer -x\n")
	write("bin/outer", "#!\t/usr/bin/env\tpython3 -u\n")
	write("bin/relative", "#!bin/inner\n")
	write("bin/loop", "#!"+root+"/bin/loop\n")
	write("bin/none", "no program\n")
	write("bin/empty", "#!\n")
	paths := func(name string) (list []string) {
		for _, g := range Program(name, root) {
			if g.Access != Read|Execute {
				t.Errorf("%s: %b", g.Path, g.Access)
			}
			list = append(list, strings.TrimPrefix(g.Path, root+"/"))
		}
		return list
	}
	for name, want := range map[string][]string{
		"bin/none": {"bin/none"}, "bin/empty": {"bin/empty"}, "bin/missing": {"bin/missing"}, "bin": {"bin"},
		"bin/inner": {"bin/inner", "bin/outer", "/usr/bin/env"}, "bin/relative": {"bin/relative", "bin/inner", "bin/outer", "/usr/bin/env"},
		"bin/loop": {"bin/loop", "bin/loop", "bin/loop", "bin/loop", "bin/loop"},
	} {
		if got := paths(name); !slices.Equal(got[:min(len(got), len(want))], want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := paths("/bin/true"); len(got) != 2 || !strings.Contains(got[1], "ld-linux") {
		t.Errorf("/bin/true: %q", got)
	}
}

// FuzzInterpreter: no first line makes us fail, and what comes out is in it.
func FuzzInterpreter(f *testing.F) {
	for _, s := range []string{"", " /bin/sh\n", "\t/bin/sh -x", "/a\x00b", "\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got := scriptInterpreter(b)
		if strings.ContainsAny(got, " \t\n\x00") || !strings.Contains(string(b), got) {
			t.Errorf("%q: %q", b, got)
		}
	})
}

// TestHandled: each ABI is asked for what it knows, and not for more.
func TestHandled(t *testing.T) {
	for abi, want := range map[int]rulesetAttr{
		1: {fs: 0x1fff}, 2: {fs: 0x3fff}, 3: {fs: 0x7fff}, 4: {fs: 0x7fff, net: 3}, 5: {fs: 0xffff, net: 3}, 6: {fs: 0xffff, net: 3, scoped: 3},
		7: {fs: 0xffff, net: 3, scoped: 3}, 99: {fs: 0xffff, net: 3, scoped: 3},
	} {
		if got := handled(abi, false); got != want {
			t.Errorf("ABI %d: %+v", abi, got)
		}
		open := handled(abi, true)
		if open.net != 0 || open.scoped&^2 != 0 || open.fs != want.fs {
			t.Errorf("ABI %d with the network: %+v", abi, open)
		}
	}
	if a := Access(Read | Write | Execute | Device | List); a.rights()|0xc00|0x40 != 0xffff|0x40|0xc00 || a.rights()&0x840 != 0 {
		t.Errorf("%#x", a.rights())
	}
}
