// Package program tests the whole program: its command line, its processes and what
// they cost, with real clients.
package program
