// Package curves holds no code: its tests measure how the costs of a node and of Redis grow
// with rooms, members, clients, entries and keys, and fail when one grows faster than it did.
// Each test prints its curve, of sizes that are a factor of ten apart.
//
// As part of `go test ./...` they compare counts that do not depend on time: commands of
// Redis, goroutines, bytes allocated, events. With CHAT_MEASURE=1 (`make curves`) the sizes
// are larger, and processor time and memory are measured too.
package curves
