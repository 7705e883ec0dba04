// Package integration runs real programs twice, natively and in the sandbox, and compares all that
// can be seen from outside: standard output, standard error, the exit status or the signal. In the
// sandbox runsbx compares its model of every address space with the kernel's own list of mappings
// (--verify), and any difference fails the test.
//
// The tests are also a description of what must work:
//
//	shell_test.go      coreutils, dash and bash: pipelines, jobs, traps
//	language_test.go   python, perl, node, java, go
//	build_test.go      gcc and make -j4, git
//	database_test.go   sqlite3, PostgreSQL, redis
//	stress_test.go     the memory stressors of stress-ng, with --verify
//	guest_test.go      small C programs, each hard in one way (testdata/*.c)
//	memory_files_test.go  files in memory under --limit commit: every way to get one, to grow it, to lose it
//	differential_test.go  random memory calls of every kind: every answer, and maps after each
//	terminal_test.go   a terminal session: Ctrl-C, Ctrl-Z, fg
//	kill_test.go       the supervisor is killed: nothing survives
//	aslr_test.go       --aslr seed=N and off
//	stream_test.go     closed, full, broken and large standard streams
//	cause_test.go      ends of all kinds, and that the report tells what ended the program
//	status_test.go     exit statuses, signals, programs that cannot be run
//	inherit_test.go    what a program inherits: limits, umask, descriptors, ...
//	user_test.go       an ordinary user, an unprivileged container, the sandbox in the sandbox
//	confine_test.go    the default profile: what works in it, and what does not
//	badinput_test.go   one clear line and the right exit status
//	escape             a package of its own: programs that try to get out of the sandbox
//
// Programs that run in the tests are in testdata, one file each; its first comment says what it
// shows. A missing tool is a failure, except with -short. No result depends on timing: time
// limits only keep a hanging program from blocking the run.
//
// RUNSBX_BIN=FILE tests that binary instead of building cmd/runsbx; RUNSBX_HANG_GUARD=30s gives up
// on a hanging program earlier than after two minutes.
package integration
