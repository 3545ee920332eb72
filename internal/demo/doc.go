// Package demo runs the local cluster of --nodes: one process a node, started and
// restarted by their common parent. With the embedded broker it also serves the
// controls of the cluster's page, by which a person kills, freezes, wakes and drains
// nodes, and stops and starts the broker, to see that nothing is lost.
//
// Only the parent can do that. It listens on the loopback (control.go); a child reports
// there that it is ready (parent.go), and forwards the orders of pages after it has
// judged where they come from (pages.go).
package demo
