package redisbroker

import (
	"context"
	"crypto/sha1" // by which Redis names scripts
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"example.com/chat/internal/protocol"
)

//go:embed scripts/*.lua
var scripts embed.FS

// script is a Lua script and its SHA, by which Redis names it. On a Redis Cluster all keys of
// one call are in one slot, and it publishes in that slot.
type script struct{ source, sha string }

// readScript makes one script of several files, in their order.
func readScript(names ...string) script {
	var source []byte
	for _, name := range names {
		part, err := scripts.ReadFile("scripts/" + name + ".lua")
		if err != nil {
			panic(err) // embedded: it can't be missing
		}
		source = append(source, part...)
	}
	return newScript(string(source))
}

func newScript(source string) script {
	sum := sha1.Sum([]byte(source))
	return script{source, hex.EncodeToString(sum[:])}
}

var (
	appendScript = readScript("room", "append").with(bounds())
	readLog      = readScript("room", "read")
	hereScript   = readScript("line", "here")
	leaseScript  = readScript("lease")
	namesScript  = readScript("line", "names")
	roomsScript  = readScript("rooms")
	listScript   = readScript("list")
)

// with returns the script with local variables before it. Constants are part of the
// script, because each argument of a call costs time.
func (s script) with(names []string, values []int) script {
	text := make([]string, len(values))
	for i, v := range values {
		text[i] = strconv.Itoa(v)
	}
	return newScript("local " + strings.Join(names, ", ") + " = " + strings.Join(text, ", ") + "\n" + s.source)
}

// bounds returns the constants of scripts/append.lua.
func bounds() (names []string, values []int) {
	return []string{"KEYS_KEPT", "KEY_AGE", "CHANGES_KEPT", "MAX_EDITS", "MAX_KINDS", "MAX_REACTIONS", "MAX_ROOM_REACTIONS", "MAX_USERS"},
		[]int{protocol.KeysKept, protocol.KeyAgeMS, changesKept, protocol.MaxEdits, protocol.MaxReactionKinds, protocol.MaxReactions,
			protocol.MaxRoomReactions, protocol.MaxReactionUsers}
}

// command makes the call of a script, by its SHA, or with its source if Redis does not know
// it.
func (s script) command(ctx context.Context, whole bool, keys []string, args []any) once {
	list := make([]any, 0, 3+len(keys)+len(args))
	if whole {
		list = append(list, "eval", s.source)
	} else {
		list = append(list, "evalsha", s.sha)
	}
	list = append(list, len(keys))
	for _, key := range keys {
		list = append(list, key)
	}
	return once{redis.NewCmd(ctx, append(list, args...)...)}
}

// once is a command that the client does not repeat by itself if it gets no answer, as it
// otherwise does on a Redis Cluster: its caller decides. Redirections are followed, since
// a redirected command was not executed.
type once struct{ *redis.Cmd }

// NoRetry forbids the client to repeat it (redis.Cmder).
func (once) NoRetry() bool { return true }

// run executes a script.
func (b *core) run(ctx context.Context, s script, keys []string, args ...any) *redis.Cmd {
	call := s.command(ctx, false, keys, args)
	_ = b.rdb.Process(ctx, call)
	if redis.HasErrorPrefix(call.Err(), "NOSCRIPT") {
		call = s.command(ctx, true, keys, args)
		_ = b.rdb.Process(ctx, call)
	}
	return call.Cmd
}

// errReplicas means that a write was executed, and too few replicas confirm it.
var errReplicas = errors.New("too few of redis's replicas confirm what is written")

// redirections bounds how often one call is redirected within a Redis Cluster.
const redirections = 5

// runConfirmed executes a script, and waits until Config.Replicas replicas confirm what it
// wrote. Otherwise it fails with errReplicas although the script was executed. WAIT counts
// for its own connection, so both are one pipeline, whose redirections on a Redis Cluster
// are followed here.
func (b *core) runConfirmed(ctx context.Context, s script, keys []string, args ...any) *redis.Cmd {
	if b.cfg.Replicas == 0 {
		return b.run(ctx, s, keys, args...)
	}
	whole, asking := false, false
	node, err := b.nodeOf(ctx, keys[0])
	call := s.command(ctx, whole, keys, args)
	for range redirections {
		if err != nil {
			call.SetErr(err)
			break
		}
		call = s.command(ctx, whole, keys, args)
		pipe := node.Pipeline()
		if asking {
			_ = pipe.Process(ctx, redis.NewCmd(ctx, "asking"))
		}
		_ = pipe.Process(ctx, call)
		confirmed := redis.NewIntCmd(ctx, "wait", b.cfg.Replicas, replicasWithin.Milliseconds())
		_ = pipe.Process(ctx, confirmed)
		_, _ = pipe.Exec(ctx)
		if call.Err() == nil {
			b.confirm(call, confirmed)
			break
		}
		asking = false
		if redis.HasErrorPrefix(call.Err(), "NOSCRIPT") {
			whole = true
		} else if addr, ok := redis.IsAskError(call.Err()); ok {
			asking = true
			node, err = b.nodeAt(ctx, node, addr)
		} else if addr, ok := redis.IsMovedError(call.Err()); ok && b.cluster != nil {
			node, err = b.nodeAt(ctx, node, addr)
		} else {
			break
		}
	}
	return call.Cmd
}

func (b *core) confirm(call once, confirmed *redis.IntCmd) {
	n, err := confirmed.Result()
	switch {
	case err != nil:
		call.SetErr(fmt.Errorf("wait for replicas: %w", err))
	case n < int64(b.cfg.Replicas):
		call.SetErr(tooFew(n, b.cfg.Replicas))
	}
}

// tooFew returns errReplicas with what an operator needs to know.
func tooFew(n int64, wanted int) error {
	remedy := "a second Redis server is back"
	if wanted > 1 {
		remedy = fmt.Sprintf("%d Redis servers besides the primary are back", wanted)
	}
	return fmt.Errorf("%w: %d of %d within %s: with --wait-replicas %d nothing can be sent until %s",
		errReplicas, n, wanted, replicasWithin, wanted, remedy)
}

// nodeOf returns the Redis to which a key is written.
func (b *core) nodeOf(ctx context.Context, key string) (redis.Cmdable, error) {
	if b.cluster == nil {
		return b.rdb, nil
	}
	node, err := b.cluster.MasterForKey(ctx, key)
	if err != nil {
		return nil, err // not a nil *redis.Client in an interface
	}
	return node, nil
}

// nodeAt returns the primary of a Redis Cluster at the address of a redirection. An address
// without a host (empty, or "?") is at the host of the server that redirected.
func (b *core) nodeAt(ctx context.Context, asked redis.Cmdable, addr string) (redis.Cmdable, error) {
	if host, port, err := net.SplitHostPort(addr); err == nil && (host == "" || host == "?") {
		if client, ok := asked.(*redis.Client); ok {
			host, _, _ = net.SplitHostPort(client.Options().Addr) // it is dialed by this address
			addr = net.JoinHostPort(host, port)
		}
	}
	var mu sync.Mutex // guards found
	var found *redis.Client
	err := b.cluster.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
		if node.Options().Addr == addr {
			mu.Lock()
			defer mu.Unlock()
			found = node
		}
		return nil
	})
	if err == nil && found == nil {
		err = fmt.Errorf("redis sends on to %s, which is no primary of its cluster", addr)
	}
	if err != nil {
		return nil, err
	}
	return found, nil
}

// countReplicas logs a warning if there are fewer replicas than must confirm.
func (b *core) countReplicas(ctx context.Context) error {
	if b.cfg.Replicas == 0 {
		return nil
	}
	count := func(ctx context.Context, node *redis.Client) error {
		n, err := node.Wait(ctx, b.cfg.Replicas, replicasWithin).Result()
		if err == nil && n < int64(b.cfg.Replicas) {
			b.log.Warn("redis has fewer replicas than have to confirm each message: until it has them, none is acknowledged",
				"redis", node.Options().Addr, "replicas", n, "wanted", b.cfg.Replicas)
		}
		return err
	}
	if b.cluster != nil {
		return b.cluster.ForEachMaster(ctx, count)
	}
	if client, ok := b.rdb.(*redis.Client); ok {
		return count(ctx, client)
	}
	return nil
}

// publishCommand returns the command by which scripts publish; on a Redis Cluster it is the
// one that stays in its shard.
func (b *core) publishCommand() string {
	if b.cluster != nil {
		return "SPUBLISH"
	}
	return "PUBLISH"
}

// publish publishes by a client, or queues the command in a pipeline.
func (b *core) publish(ctx context.Context, by redis.Cmdable, channel string, payload any) error {
	if b.cluster != nil {
		return by.SPublish(ctx, channel, payload).Err()
	}
	return by.Publish(ctx, channel, payload).Err()
}
