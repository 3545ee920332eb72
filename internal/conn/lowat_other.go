//go:build !linux

package conn

import "net"

// limitUnsent bounds what a socket keeps unsent, where that is known how.
func limitUnsent(net.Conn) {}
