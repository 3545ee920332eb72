package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"example.com/chat/embed"
	"example.com/chat/internal/cli"
	"example.com/chat/internal/redisopen"
)

// Which Redis joins the nodes: the one that --redis names (internal/redisopen), else
// the embedded broker of this process (embed).

// startBroker starts the embedded broker, and prints its URL if --broker-addr was
// given.
func startBroker(opts cli.NodeOptions, stdout io.Writer, log *slog.Logger) (*embed.Broker, error) {
	b, err := embed.StartBroker(embed.BrokerConfig{Addr: opts.BrokerAddr, Log: log})
	if err != nil {
		return nil, err
	}
	if opts.BrokerAddr != "" {
		fmt.Fprintf(stdout, "broker  %s\n", b.URL())
	}
	return b, nil
}

// awaitRedis returns the Redis of --redis when it is usable, or the embedded broker unless
// that is nil. Its error is ctx's, or one line that says what to do.
func awaitRedis(ctx context.Context, opts cli.NodeOptions, embedded *embed.Broker, log *slog.Logger) (redisopen.Target, error) {
	redisURL := opts.Redis
	if embedded != nil {
		redisURL = embedded.URL()
	}
	target, err := redisopen.Parse(redisURL)
	if err != nil {
		return target, err
	}
	if embedded != nil {
		target = target.Through(embedded.Dial)
	}
	return target, target.Await(ctx, opts.Namespace, opts.WaitRedis, log)
}

// awaitRedisForAll waits for the Redis of a cluster's nodes, so that one message tells
// of it and not one of each node. A signal ends the wait.
func awaitRedisForAll(ctx context.Context, opts cli.NodeOptions, signals <-chan os.Signal, log *slog.Logger) (stopped bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { // ends with the wait, which ends with ctx
		_, err := awaitRedis(ctx, opts, nil, log)
		done <- err
	}()
	select {
	case err := <-done:
		return false, err
	case <-signals:
		cancel()
		<-done
		return true, nil
	}
}
