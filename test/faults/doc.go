// Package faults breaks a running chat and has the checker decide whether its
// promises held: three real nodes, each a process, a real Redis, clients that
// talk and write down what they hear (internal/load), and one fault after the
// other, from a printed seed, until the history is judged (internal/check).
//
// It is all tests. A quick choice of the faults runs always, all of them with
// CHAT_LONG=1. Each adds a row to a table, which is printed at the end.
//
//	CHAT_LONG=1 go test ./test/faults -v -run 'TestNodeKilled'
//	CHAT_LONG=1 CHAT_SEED=17 CHAT_OUT=/tmp go test ./test/faults
//	CHAT_LONG=1 CHAT_FOR=30m go test ./test/faults -run TestAtRandom -timeout 40m
package faults
