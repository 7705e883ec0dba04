// Package escape holds one small C program for each known way around confinement or W^X
// (testdata/*.c; the first comment of each says what the trick is and what was got around by it).
//
// Each is run natively, where it has to work ("escaped") unless the host cannot do it (status 77), and
// with runsbx run --wx deny, where it must not work: as root and as an ordinary user. A process
// outside, the canary (testdata/canary.c), and files outside must be untouched afterwards.
//
//	wx_test.go       code that was written at run time
//	confine_test.go  files, processes, sockets and system calls outside of the sandbox
//	survive_test.go  processes that want to outlive the supervisor
//	works_test.go    ordinary things that work as they do natively
//
// Races are tried -rounds times. -outcomes FILE writes a table of how each program ended; -with FLAGS has
// other flags than --wx deny stop the attacks.
// RUNSBX_BIN=FILE tests that binary instead of building cmd/runsbx.
package escape
