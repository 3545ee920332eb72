// Package faults injects faults into a running chat, and the checker decides whether its
// promises held: three real nodes, each a process, a real Redis, clients that send messages
// and record what they receive (internal/load), faults from a printed seed, and the
// verification of the history (internal/check).
//
// It holds tests only. The quick ones run always, all of them with CHAT_LONG=1. Each adds a
// row to a table, which is printed at the end.
//
//	CHAT_LONG=1 go test ./test/faults -v -run 'TestNodeKilled'
//	CHAT_LONG=1 CHAT_SEED=17 CHAT_OUT=/tmp go test ./test/faults
//	CHAT_LONG=1 CHAT_FOR=30m go test ./test/faults -run TestAtRandom -timeout 40m
package faults
