// Bench measures what a supervisor costs, beside the least that its mechanism could cost and beside other tools:
//
//	go run ./bench [-rounds N] [-only REGEXP] [-busy] [-runsbx FILE]
//
// Each round runs every workload under every contestant, in an order that changes, so that what else the machine
// does hits all of them alike. What it prints are medians, and their ratios: figures of two runs are not to
// be compared. It is no test: nothing fails for being slow.
//
//	main.go        flags, and the run
//	contestant.go  who runs the workloads: natively, a floor (testdata/floor.c), runsbx, other tools
//	workload.go    what is run: calls (testdata/work.c) and real work
//	project.go     the projects that the real work builds and tests
//	table.go       medians and ratios
package main
