// Package faults breaks a running chat and has the checker decide whether its
// promises held: three real nodes, each a process, a real Redis, clients that
// talk and write down what they hear (internal/load), and one fault after the
// other, from a printed seed, until the history is judged (internal/check).
//
// It is all tests. A quick choice of the faults runs always, all of them with
// -faults.all. Each adds a row to a table, which is printed at the end.
//
//	go test ./test/faults -faults.all -v -run 'TestNodeKilled'
//	go test ./test/faults -faults.all -faults.seed 17 -faults.table table.md
//	go test ./test/faults -faults.all -run TestAtRandom -faults.for 30m -timeout 40m
package faults
