package conn

import (
	"net"
	"syscall"
)

// unsentLimit is how many bytes a socket keeps that TCP has not sent yet. Without
// a bound the kernel keeps megabytes for a slow client, in which replies and
// pings wait for a minute.
const unsentLimit = 32 << 10

// tcpNotSentLowat is the socket option TCP_NOTSENT_LOWAT (tcp(7)), which package
// syscall does not name.
const tcpNotSentLowat = 25

// limitUnsent has the connection's socket take no more while so much is unsent.
// Where that fails the connection works as well, with longer queues.
func limitUnsent(c net.Conn) {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok { // TLS
		c = t.NetConn()
	}
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotSentLowat, unsentLimit)
	})
}
