// Package badnet tests the chat over bad networks. It holds tests only, for Linux.
//
// Redis, three nodes and the clients run in network namespaces of their own, as on
// machines of their own. A switch in the test's process joins them: it reads IP
// packets from a TUN device in each namespace and delivers them late, reordered,
// at a limited rate, or not at all. The checker (internal/check) verifies what the
// clients recorded.
//
// Making namespaces needs root and /dev/net/tun; without them the tests are
// skipped. Nothing outside of the namespaces is changed, and they end with the
// process: no name, device or address is left behind.
package badnet
