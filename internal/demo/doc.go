// Package demo runs the local cluster of --nodes: it starts the nodes as child
// processes, restarts those that end, and serves the controls with which the page of the
// cluster kills, freezes and starts them. See cluster.go for the parent, and parent.go for
// the child's side.
package demo
