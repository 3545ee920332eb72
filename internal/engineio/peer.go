package engineio

import (
	"context"
	"net"
	"syscall"
)

// connKey is the context key of a request's connection.
type connKey struct{}

// WithConn is a ConnContext for http.Server. With it, a poll gets nothing as soon as
// its client has closed the connection; without it, only after net/http has noticed.
func WithConn(ctx context.Context, c net.Conn) context.Context {
	if s, ok := c.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			return context.WithValue(ctx, connKey{}, raw)
		}
	}
	return ctx
}

// clientGone reports whether the client of a request has closed its connection, as far
// as this machine knows. It does not block.
func clientGone(ctx context.Context) bool {
	if ctx.Err() != nil {
		return true
	}
	raw, ok := ctx.Value(connKey{}).(syscall.RawConn)
	gone := false
	return ok && (raw.Control(func(fd uintptr) { gone = ended(fd) }) != nil || gone)
}
