//go:build linux

package main

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"example.com/chat/internal/swarm"
)

// The versions that are compared.
const (
	centrifugoModule = "github.com/centrifugal/centrifugo/v6"
	centrifugoTag    = "v6.9.1"
	socketIOVersion  = "4.8.4" // as socketio/package.json has it, with the adapter's
	adapterVersion   = "8.3.0"
)

//go:embed socketio
var socketIOFiles embed.FS

// system is one of the servers that are compared.
type system struct {
	// name is the column's head, version is filled in by prepare.
	name, version string
	dialect       swarm.Dialect
	// alone means that it runs without Redis and as one process.
	alone bool
	// prepare builds or installs it below a folder.
	prepare func(ctx context.Context, s *system, dir string) error
	// start starts n nodes at a Redis, "" for the broker that is built in.
	start func(ctx context.Context, c *cluster, s *system, n int, redis string) error
	path  string // of the program
	// commands says how it is installed and started, in Markdown.
	commands string
}

// chatSystem is this chat; path is that of a program which is built already, or "".
func chatSystem(name, path string) *system {
	return &system{name: name, path: path, dialect: swarm.Chat{}, prepare: buildChat, start: startChat,
		commands: "`go build`; `chat " + chatFlags + " --redis redis://…`"}
}

// allSystems returns the systems of the comparison, the chat first.
func allSystems() []*system {
	return []*system{
		chatSystem("chat", ""),
		{name: "Centrifugo", dialect: centrifugo{}, prepare: installCentrifugo, start: startCentrifugo,
			commands: "`go install " + centrifugoModule + "@" + centrifugoTag + "`; `centrifugo --config FILE` (`centrifugoConfig` in `bench/compare/systems.go`)"},
		{name: "Socket.IO", dialect: socketIO{}, prepare: installSocketIO, start: startSocketIO,
			commands: "`npm ci` with `bench/compare/socketio/package-lock.json`; `NODE_ENV=production node server.mjs redis://…`"},
		{name: "floor", dialect: swarm.Chat{}, alone: true, prepare: prepareFloor, start: startFloor,
			commands: "`compare floor` (`bench/compare/floor.go`)"},
	}
}

// run runs a command to its end. Its output is part of the error.
func run(ctx context.Context, dir string, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// output returns what a command prints, in one line.
func output(ctx context.Context, name string, args ...string) string {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(out)), " ")
}

func buildChat(ctx context.Context, s *system, dir string) error {
	built := ""
	if s.path == "" {
		built = ", built from " + output(ctx, "git", "describe", "--always", "--dirty")
		s.path = filepath.Join(dir, "chat")
		if err := run(ctx, "", nil, "go", "build", "-o", s.path, "example.com/chat"); err != nil {
			return err
		}
	}
	s.version = output(ctx, s.path, "version") + built
	return nil
}

// chatFlags are the flags of a node, besides its name and its Redis.
const chatFlags = "--addr 127.0.0.1:0 --rate 0 --log-level warn"

func startChat(ctx context.Context, c *cluster, s *system, n int, redis string) error {
	for i := range n {
		args := append(strings.Fields(chatFlags), "--node-id", "b"+strconv.Itoa(i+1))
		if redis != "" {
			args = append(args, "--redis", "redis://"+redis)
		}
		// An embedded broker may keep rooms in the user's folder of data.
		url, err := c.start(ctx, []string{"XDG_DATA_HOME=" + c.dir}, "node 1 ", s.path, args...)
		if err != nil {
			return err
		}
		c.urls = append(c.urls, url)
	}
	return nil
}

// installCentrifugo installs it outside of this module. What is in the folder already
// is used again.
func installCentrifugo(ctx context.Context, s *system, dir string) error {
	s.path, s.version = filepath.Join(dir, "centrifugo"), centrifugoTag
	if _, err := os.Stat(s.path); err == nil {
		return nil
	}
	return run(ctx, dir, []string{"GOBIN=" + dir, "GOFLAGS="}, "go", "install", centrifugoModule+"@"+centrifugoTag)
}

// centrifugoConfig is what comes nearest to a room of the chat: messages are in a
// history of Redis, and clients recover from it. Presence is off, as it is by default.
func centrifugoConfig(redis, port string) map[string]any {
	return map[string]any{
		"engine":      map[string]any{"type": "redis", "redis": map[string]any{"address": redis}},
		"http_server": map[string]any{"address": "127.0.0.1", "port": port},
		"log":         map[string]any{"level": "warn"},
		"client":      map[string]any{"allowed_origins": []string{}, "allow_anonymous_connect_without_token": true},
		"channel": map[string]any{"without_namespace": map[string]any{
			"history_size": 10000, "history_ttl": "24h", "force_positioning": true, "force_recovery": true,
			"allow_subscribe_for_client": true, "allow_subscribe_for_anonymous": true,
			"allow_publish_for_client": true, "allow_publish_for_anonymous": true,
		}},
	}
}

func startCentrifugo(ctx context.Context, c *cluster, s *system, n int, redis string) error {
	for range n {
		port, err := freePort()
		if err != nil {
			return err
		}
		text, err := json.Marshal(centrifugoConfig(redis, port))
		if err != nil {
			return err
		}
		file := filepath.Join(c.dir, port+".json")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return err
		}
		if _, err := c.start(ctx, nil, "", s.path, "--config", file); err != nil {
			return err
		}
		address := net.JoinHostPort("127.0.0.1", port)
		if err := c.listening(ctx, address); err != nil {
			return err
		}
		c.urls = append(c.urls, "http://"+address)
	}
	return nil
}

// installSocketIO lets npm install it. What is in the folder already is used again.
func installSocketIO(ctx context.Context, s *system, dir string) error {
	s.path = filepath.Join(dir, "socketio")
	s.version = fmt.Sprintf("%s, adapter %s, Node.js %s", socketIOVersion, adapterVersion, output(ctx, "node", "--version"))
	if err := os.CopyFS(dir, socketIOFiles); err != nil && !os.IsExist(err) {
		return err
	}
	if _, err := os.Stat(filepath.Join(s.path, "node_modules")); err == nil {
		return nil
	}
	return run(ctx, s.path, nil, "npm", "ci", "--no-audit", "--no-fund")
}

func startSocketIO(ctx context.Context, c *cluster, s *system, n int, redis string) error {
	for range n {
		url, err := c.start(ctx, []string{"NODE_ENV=production"}, "node ", "node", filepath.Join(s.path, "server.mjs"), "redis://"+redis)
		if err != nil {
			return err
		}
		c.urls = append(c.urls, url)
	}
	return nil
}

// floorArgument makes this program be the floor.
const floorArgument = "floor"

func prepareFloor(_ context.Context, s *system, _ string) (err error) {
	s.version = "floor.go of this benchmark"
	s.path, err = os.Executable()
	return err
}

func startFloor(ctx context.Context, c *cluster, s *system, _ int, _ string) error {
	url, err := c.start(ctx, nil, "node ", s.path, floorArgument)
	c.urls = append(c.urls, url)
	return err
}
