package redisopen

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/redis/go-redis/v9"
)

// A Redis Cluster may omit the hosts of its nodes. With cluster-preferred-endpoint-type
// unknown-endpoint, a host is null in CLUSTER SLOTS and empty in a redirection; with
// hostname, it is "?" in both for a node without a configured name. Then the node is at
// the host that was asked
// (https://redis.io/docs/latest/commands/cluster-slots/, since Redis 7.0).

// namesHost reports whether a host in a reply of a Redis Cluster is not one of the signs
// for none.
func namesHost(host string) bool { return host != "" && host != "?" }

// clusterNode returns the constructor of the clients of single nodes. A node without a
// host of its own is dialed at the given one, which is that of the first address of
// --redis.
func clusterNode(host string) func(*redis.Options) *redis.Client {
	return func(opts *redis.Options) *redis.Client {
		if own, port, err := net.SplitHostPort(opts.Addr); err == nil && !namesHost(own) {
			opts.Addr = net.JoinHostPort(host, port)
		}
		own, _, err := net.SplitHostPort(opts.Addr)
		if err != nil {
			own = host
		}
		client := redis.NewClient(opts)
		client.AddHook(slotsReader{host: own})
		return client
	}
}

// slotsReader parses the replies of CLUSTER SLOTS in place of go-redis, which fails at a
// host that is null (v9.23).
type slotsReader struct {
	host string // of the node that is asked
}

// DialHook changes nothing (redis.Hook).
func (slotsReader) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessPipelineHook changes nothing (redis.Hook): go-redis does not send CLUSTER SLOTS in
// a pipeline.
func (slotsReader) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// ProcessHook parses the reply of CLUSTER SLOTS (redis.Hook).
func (s slotsReader) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		asked, ok := cmd.(*redis.ClusterSlotsCmd)
		if !ok {
			return next(ctx, cmd)
		}
		raw := redis.NewSliceCmd(ctx, cmd.Args()...)
		err := next(ctx, raw)
		if err == nil {
			err = raw.Err()
		}
		var slots []redis.ClusterSlot
		if err == nil {
			slots, err = s.read(raw.Val())
		}
		if err != nil {
			asked.SetErr(err)
			return err
		}
		asked.SetVal(slots)
		return nil
	}
}

// errSlots is the error of a reply of CLUSTER SLOTS in an unknown form.
var errSlots = errors.New("CLUSTER SLOTS was answered in an unexpected shape")

// read parses a reply: for each range its first and last slot and its nodes, the primary
// first, each with host, port, id and more.
func (s slotsReader) read(reply []any) ([]redis.ClusterSlot, error) {
	slots := make([]redis.ClusterSlot, 0, len(reply))
	for _, one := range reply {
		row, _ := one.([]any)
		if len(row) < 2 {
			return nil, errSlots
		}
		first, ok1 := row[0].(int64)
		last, ok2 := row[1].(int64)
		if !ok1 || !ok2 {
			return nil, errSlots
		}
		slot := redis.ClusterSlot{Start: int(first), End: int(last)}
		for _, one := range row[2:] {
			node, _ := one.([]any)
			if len(node) < 2 {
				return nil, errSlots
			}
			host, _ := node[0].(string) // nil for none
			if !namesHost(host) {
				host = s.host
			}
			named := redis.ClusterNode{Addr: net.JoinHostPort(host, fmt.Sprint(node[1]))}
			if len(node) > 2 {
				named.ID, _ = node[2].(string)
			}
			slot.Nodes = append(slot.Nodes, named)
		}
		slots = append(slots, slot)
	}
	return slots, nil
}
