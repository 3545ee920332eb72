package cli

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"

	"example.com/chat/internal/cluster"
	"example.com/chat/internal/identity"
	"example.com/chat/internal/node"
	"example.com/chat/internal/redisbroker"
	"example.com/chat/internal/redisopen"
)

// Listeners are the listeners of one node.
type Listeners struct {
	// HTTP is that of --addr, Debug that of --debug-addr; Debug may be nil.
	HTTP, Debug net.Listener
}

// Verifier returns what verifies users' JWTs, nil if users need none. A --jwt-secret
// that is not usable is a *UsageError, a --jwt-key-file that is not usable another
// error.
func (o NodeOptions) Verifier() (*identity.Verifier, error) {
	switch {
	case o.JWTSecret != "":
		v, err := identity.NewSecretVerifier(o.JWTSecret)
		if err != nil {
			return nil, &UsageError{Message: "--jwt-secret " + err.Error()}
		}
		return v, nil
	case o.JWTKeyFile != "":
		v, err := identity.NewFileVerifier(o.JWTKeyFile)
		if err != nil {
			return nil, fmt.Errorf("--jwt-key-file: %q %w", o.JWTKeyFile, err)
		}
		return v, nil
	}
	return nil, nil
}

// Config returns the configuration of a node with these options, which uses the given
// Redis and listeners. Its errors are those of Verifier.
func (o NodeOptions) Config(ctx context.Context, redis redisopen.Target, listeners Listeners, log *slog.Logger) (node.Config, error) {
	verifier, err := o.Verifier()
	if err != nil {
		return node.Config{}, err
	}
	hosts := o.Hosts
	for _, addr := range []string{o.Addr, o.DebugAddr} {
		if name, _, err := net.SplitHostPort(addr); err == nil && name != "" {
			hosts = append(hosts[:len(hosts):len(hosts)], name)
		}
	}
	return node.Config{
		Listener: listeners.HTTP, Debug: listeners.Debug,
		Open: func(ctx context.Context, info cluster.NodeInfo, status func() cluster.Status) (node.Broker, func(), error) {
			return openBroker(ctx, redis, redisbroker.Config{
				Namespace: o.Namespace, History: o.History, Replicas: o.Replicas, Node: info, Status: status, Log: log,
			})
		},
		ID: o.NodeID, Advertise: o.Advertise, PeerAddr: peerAddr(ctx, o.PeerAddr, listeners.HTTP.Addr(), redis),
		Limits: o.Limits(), History: o.History, MaxConns: o.MaxConns,
		Secret: []byte(o.Secret), JWT: verifier,
		Hosts: hosts, Origins: o.Origins, TrustProxy: o.TrustProxy,
		UI: o.UI, Log: log,
	}, nil
}

// openBroker returns a nil interface with an error, which a nil *Broker would not be.
func openBroker(ctx context.Context, redis redisopen.Target, cfg redisbroker.Config) (node.Broker, func(), error) {
	b, closeRedis, err := redis.Open(ctx, cfg)
	if err != nil {
		return nil, nil, err
	}
	return b, closeRedis, nil
}

// peerAddr returns the host:port by which other nodes reach this one: the given one;
// else the address on which it listens; if that is all addresses, the one from which
// it reaches Redis, since the nodes have that network in common.
func peerAddr(ctx context.Context, given string, listener net.Addr, redis redisopen.Target) string {
	if given != "" {
		return given
	}
	addr, err := netip.ParseAddrPort(listener.String())
	if err != nil {
		return ""
	}
	if !addr.Addr().IsUnspecified() {
		return listener.String()
	}
	return net.JoinHostPort(redis.LocalIP(ctx), strconv.Itoa(int(addr.Port())))
}
