package main

import (
	"cmp"
	"log/slog"
	"runtime/debug"
	"strings"

	"example.com/chat/internal/cli"
	"example.com/chat/internal/redisopen"
)

// logStart logs, in one line, what an operator asks first about a node that has
// started: which version it is and how it was set up. Nothing in it is a secret.
func logStart(log *slog.Logger, opts cli.NodeOptions, node string) {
	release, commit := build()
	joined := "embedded"
	if target, err := redisopen.Parse(opts.Redis); opts.Redis != "" && err == nil {
		joined = target.String()
	}
	users := "guests"
	if opts.JWTSecret != "" || opts.JWTKeyFile != "" {
		users = "with a JWT"
	}
	networks := make([]string, len(opts.TrustProxy))
	for i, n := range opts.TrustProxy {
		networks[i] = n.String()
		if n.Bits() == 0 {
			log.Warn("--trust-proxy names every address: any client can make up its own, and its scheme and host", "network", networks[i])
		}
	}
	log.Info("started", "version", release, "commit", commit, "node", node, "redis", joined, "namespace", opts.Namespace,
		"advertise", cmp.Or(opts.Advertise, "from the request"), "users", users, "ui", opts.UI,
		"text_limit", opts.TextLimit, "max_rooms", opts.MaxRooms, "max_conns", opts.MaxConns, "rate", opts.Rate, "burst", opts.Burst, "history", opts.History,
		"origins", listed(opts.Origins), "hosts", listed(opts.Hosts), "trust_proxy", listed(networks))
	for _, name := range opts.EmptyKeys {
		log.Warn(name+" is set and empty, which counts as not set: users need no JWT", "variable", name)
	}
}

// listed shows a flag's values in one field.
func listed(values []string) string { return cmp.Or(strings.Join(values, ","), "none") }

// build returns what the Go tool put into this program.
func build() (release, commit string) {
	release, commit = "devel", "unknown"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return release, commit
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		release = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			commit = s.Value
		}
	}
	return release, commit
}
