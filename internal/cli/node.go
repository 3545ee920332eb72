package cli

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"example.com/chat/internal/protocol"
)

// NodeOptions are the checked flags and environment variables of a call that starts
// nodes.
type NodeOptions struct {
	Addr       string
	Nodes      int
	Redis      string
	BrokerAddr string
	Replicas   int
	WaitRedis  time.Duration
	Namespace  string
	NodeID     string
	Advertise  string
	PeerAddr   string
	History    int
	TextLimit  int
	MaxRooms   int
	MaxConns   int
	Rate       float64
	Burst      int
	Secret     string
	JWTSecret  string
	JWTKeyFile string
	Hosts      []string
	// UI is UIDemo or UIPlain.
	UI      string
	Origins []string
	// TrustProxy holds the networks of --trust-proxy.
	TrustProxy []netip.Prefix
	Drain      time.Duration
	DrainDelay time.Duration
	LogLevel   slog.Level
	LogFormat  string
	DebugAddr  string

	// Port is the port of Addr.
	Port int
	// EmptyKeys are the environment variables for JWT keys that are set and empty, if
	// no key was given: the operator may have meant to give one.
	EmptyKeys []string
	// Given holds the flags that were set, by flag or environment, with their values,
	// to start the nodes of a cluster with them.
	Given map[string][]string
}

// The values of --ui.
const (
	// UIDemo shows users the name of their node, and everybody the cluster.
	UIDemo = "demo"
	// UIPlain shows neither.
	UIPlain = "plain"
)

// Limits returns the limits that clients get in welcome.
func (o NodeOptions) Limits() protocol.Limits {
	return protocol.Limits{Text: o.TextLimit, Rooms: o.MaxRooms, Rate: o.Rate, Burst: o.Burst}
}

// group is a part of the help, at most one screen.
type group struct {
	title string
	flags *pflag.FlagSet
}

// nodeFlags declares all flags of a node, in the groups of the help.
func nodeFlags(o *NodeOptions, level *string) []group {
	set := func() *pflag.FlagSet {
		f := pflag.NewFlagSet("chat", pflag.ContinueOnError)
		f.SortFlags = false
		return f
	}
	serve := set()
	serve.StringVar(&o.Addr, "addr", ":8080", "where the node listens; with --nodes N, N `ports` from this one on, by default\nof 127.0.0.1 alone")
	serve.IntVar(&o.Nodes, "nodes", 1, "how many nodes this call starts")
	serve.StringVar(&o.NodeID, "node-id", "", "the node's `name` (default: made from host and port)")
	serve.StringVar(&o.Advertise, "advertise", "", "the `URL` by which clients reach this node; none behind a load balancer\n(default: from the request)")
	serve.StringVar(&o.PeerAddr, "peer-addr", "", "`host:port` by which other nodes reach this one (default: from --addr)")

	redis := set()
	redis.StringVar(&o.Redis, "redis", "", "the Redis that joins the nodes: redis://, rediss:// or unix:// `URL`, or host:port;\nseveral with commas between: a Redis Cluster; by sentinels:\nredis+sentinel://host:port,host:port/master-name (default: an embedded broker)")
	redis.IntVar(&o.Replicas, "wait-replicas", 0, "Redis `replicas` that must have a message before it is acknowledged")
	redis.StringVar(&o.BrokerAddr, "broker-addr", "", "`host:port` where the embedded broker listens, so that other\nchat --redis can join (default: a free loopback port)")
	redis.DurationVar(&o.WaitRedis, "wait-redis", 30*time.Second, "how long a start waits for Redis")
	redis.StringVar(&o.Namespace, "namespace", "chat", "`prefix` of every Redis key and channel")

	limits := set()
	limits.IntVar(&o.History, "history", 10000, "messages kept a room")
	limits.IntVar(&o.TextLimit, "text-limit", 4000, "`bytes` of one message")
	limits.IntVar(&o.MaxRooms, "max-rooms", 100, "rooms one connection may be in")
	limits.IntVar(&o.MaxConns, "max-conns", 0, "connections the node takes (0: as many as the file limit allows)")
	limits.Float64Var(&o.Rate, "rate", 10, "messages a second one user may send (0: no limit)")
	limits.IntVar(&o.Burst, "burst", 30, "messages one user may send at once")

	access := set()
	access.StringVar(&o.Secret, "secret", "", "signs guests' tokens; better given as CHAT_SECRET\n(default: made once, kept in Redis)")
	access.StringVar(&o.JWTSecret, "jwt-secret", "", "the HMAC `secret` that signs users' JWTs, 32 bytes at least; better given as\nCHAT_JWT_SECRET; users must then bring a JWT (default: none)")
	access.StringVar(&o.JWTKeyFile, "jwt-key-file", "", "a `file` with the PEM public key that checks users' JWTs, or with an HMAC\nsecret; users must then bring a JWT (default: none)")
	access.StringArrayVar(&o.Hosts, "host", nil, "a further host `name` under which the node accepts requests, besides IP addresses,\nlocalhost, this machine's name and the hosts of --addr, --advertise and --origin; repeatable")
	access.StringVar(&o.UI, "ui", "", "`demo` or plain: whether the page shows nodes, their colours and the cluster\n(default: demo with --nodes, else plain)")
	access.StringArrayVar(&o.Origins, "origin", nil, "another `origin` whose pages may connect; repeatable, * for all\n(default: the nodes' own)")
	access.Var((*prefixes)(&o.TrustProxy), "trust-proxy", "a network (`CIDR`) of proxies whose X-Forwarded-For, -Proto, -Host and Forwarded\nare believed; repeatable (default: none)")

	running := set()
	running.DurationVar(&o.Drain, "drain", 10*time.Second, "how long a node that stops waits for its clients to leave, at most")
	running.DurationVar(&o.DrainDelay, "drain-delay", 0, "how long a stopping node goes on answering, with /readyz 503, before it sends\nclients away: as long as the load balancer needs to notice")
	running.StringVar(level, "log-level", "info", "debug, info, warn or error")
	running.StringVar(&o.LogFormat, "log-format", "text", "text, or json for machines")
	running.StringVar(&o.DebugAddr, "debug-addr", "", "`host:port` of a second listener with /metrics, /cluster and Go's pprof, which is\nfor operators alone: take one of 127.0.0.1 (default: none)")
	return []group{{"Serving", serve}, {"Redis", redis}, {"Limits", limits}, {"Access", access}, {"Running", running}}
}

// ParseNode parses the flags of a call that starts nodes. A flag wins over its
// environment variable, which wins over the default. Flags that contradict each other
// are a *UsageError. help is true if --help was given; then the help has been printed.
// env is os.LookupEnv.
func ParseNode(args []string, env func(string) (string, bool), stdout io.Writer) (o NodeOptions, help bool, err error) {
	var level string
	groups := nodeFlags(&o, &level)
	all := pflag.NewFlagSet("chat", pflag.ContinueOnError)
	all.SetOutput(io.Discard)
	all.Usage = func() {}
	for _, g := range groups {
		all.AddFlagSet(g.flags)
	}
	all.BoolVarP(&help, "help", "h", false, "")
	if err := all.Parse(args); err != nil {
		return o, false, usage(err.Error(), "chat --help lists the flags")
	}
	if help {
		printHelp(stdout, groups)
		return o, true, nil
	}
	if all.NArg() > 0 {
		return o, false, UnknownCommand(all.Arg(0))
	}
	if err := refuseEmpty(all); err != nil {
		return o, false, err
	}
	if err := fromEnv(all, env); err != nil {
		return o, false, err
	}
	o.Given = given(all)
	if o.Nodes > 1 && !all.Changed("addr") {
		o.Addr = demoAddr
	}
	if o.JWTSecret == "" && o.JWTKeyFile == "" {
		for _, flag := range []string{"jwt-secret", "jwt-key-file"} {
			if _, ok := env(EnvName(flag)); ok { // else it would count as given
				o.EmptyKeys = append(o.EmptyKeys, EnvName(flag))
			}
		}
	}
	if err := o.LogLevel.UnmarshalText([]byte(level)); err != nil {
		return o, false, usage(fmt.Sprintf("--log-level %q is none", level), "take debug, info, warn or error")
	}
	return o, false, o.check()
}

// secretFlags hold secrets or passwords: no message contains their values.
var secretFlags = []string{"secret", "jwt-secret", "redis"}

// fromEnv sets flags that were not given from their environment variables.
func fromEnv(flags *pflag.FlagSet, env func(string) (string, bool)) error {
	var failed error
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed || failed != nil || f.Name == "help" {
			return
		}
		name := EnvName(f.Name)
		value, ok := env(name)
		if !ok || blank(value) {
			return
		}
		values := []string{value}
		if _, many := f.Value.(pflag.SliceValue); many {
			values = strings.Split(value, ",")
		}
		for _, v := range values {
			if err := flags.Set(f.Name, strings.TrimSpace(v)); err != nil {
				shown := fmt.Sprintf("%s=%q", name, value)
				if slices.Contains(secretFlags, f.Name) {
					shown = name
				}
				failed = usage(shown+" does not fit --"+f.Name, "give it as the flag's help tells: chat --help")
			}
		}
	})
	return failed
}

// EnvName returns the environment variable of a flag.
func EnvName(flag string) string {
	return "CHAT_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func given(flags *pflag.FlagSet) map[string][]string {
	set := make(map[string][]string)
	flags.Visit(func(f *pflag.Flag) {
		if list, ok := f.Value.(pflag.SliceValue); ok {
			set[f.Name] = list.GetSlice()
			return
		}
		set[f.Name] = []string{f.Value.String()}
	})
	return set
}

func printHelp(w io.Writer, groups []group) {
	fmt.Fprint(w, "chat: a chat across any number of servers, joined by Redis.\n\n")
	printCommands(w)
	fmt.Fprint(w, "\nEach flag has an environment variable: --text-limit is CHAT_TEXT_LIMIT.\n")
	for _, g := range groups {
		fmt.Fprintf(w, "\n%s:\n%s", g.title, g.flags.FlagUsages())
	}
}

// demoAddr is the default address of --nodes: a demo is not open to the network. It is
// a name, so that URLs show a name.
const demoAddr = "localhost:8080"

// plainName matches what may be part of keys, channels and log lines.
var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// maxNodes bounds the nodes of one call: each is a process.
const maxNodes = 50

// check refuses invalid and contradicting values before anything listens.
func (o *NodeOptions) check() error {
	if err := o.checkAddr(); err != nil {
		return err
	}
	set := func(flag string) bool { _, ok := o.Given[flag]; return ok }
	switch {
	case o.Nodes < 1 || o.Nodes > maxNodes:
		return usage(fmt.Sprintf("--nodes %d is outside 1 to %d", o.Nodes, maxNodes), "each is a process of its own")
	case o.Nodes > 1 && set("node-id"):
		return usage("--node-id can't go with --nodes", "the nodes of one call are named node-1, node-2, …")
	case o.Nodes > 1 && set("advertise") && o.Advertise != "none":
		return usage("--advertise with a URL can't go with --nodes", "each node has a URL of its own: leave it out, or give none")
	case o.Nodes > 1 && set("peer-addr"):
		return usage("--peer-addr can't go with --nodes", "each node has an address of its own: leave it out")
	case o.Nodes > 1 && set("debug-addr"):
		return usage("--debug-addr can't go with --nodes", "the nodes of one call would share it: each has its /metrics at its own address")
	case o.Replicas > 0 && o.Redis == "":
		return usage("--wait-replicas needs --redis", "the embedded broker has no replicas")
	case o.Redis != "" && set("broker-addr"):
		return usage("--redis and --broker-addr contradict each other", "leave one out: the nodes are joined by either")
	case o.JWTSecret != "" && o.JWTKeyFile != "":
		return usage("--jwt-secret and --jwt-key-file contradict each other", "leave one out: tokens are checked with one key")
	case o.NodeID != "" && !plainName.MatchString(o.NodeID):
		return usage(fmt.Sprintf("--node-id %q is outside its rules", o.NodeID), "1–64 letters, digits, \".\", \"_\" and \"-\"")
	case !plainName.MatchString(o.Namespace):
		return usage(fmt.Sprintf("--namespace %q is outside its rules", o.Namespace), "1–64 letters, digits, \".\", \"_\" and \"-\"")
	case o.LogFormat != "text" && o.LogFormat != "json":
		return usage(fmt.Sprintf("--log-format %q is none", o.LogFormat), "take text or json")
	case o.UI != "" && o.UI != UIDemo && o.UI != UIPlain:
		return usage(fmt.Sprintf("--ui %q is none", o.UI), "take demo or plain")
	case o.WaitRedis < 0:
		return usage("--wait-redis is negative", "give a time such as 30s, or 0 for one try")
	case o.Drain < 0:
		return usage("--drain is negative", "give a time such as 10s")
	case o.DrainDelay < 0:
		return usage("--drain-delay is negative", "give a time such as 5s")
	}
	if o.UI == "" {
		o.UI = UIPlain
		if o.Nodes > 1 {
			o.UI = UIDemo
		}
	}
	if err := o.checkURLs(); err != nil {
		return err
	}
	return o.checkLimits()
}

func (o *NodeOptions) checkAddr() error {
	_, port, err := net.SplitHostPort(o.Addr)
	if err == nil {
		o.Port, err = strconv.Atoi(port)
	}
	if err != nil || o.Port < 0 || o.Port > 65535 {
		return usage(fmt.Sprintf("--addr %q is no address", o.Addr), "give host:port or :port, as :8080")
	}
	if o.Port > 0 && o.Port+o.Nodes-1 > 65535 {
		return usage(fmt.Sprintf("--nodes %d from port %d on go past 65535", o.Nodes, o.Port), "give a lower --addr")
	}
	for _, a := range []struct{ flag, addr, example string }{
		{"broker-addr", o.BrokerAddr, "127.0.0.1:6390"}, {"debug-addr", o.DebugAddr, "127.0.0.1:6060"},
	} {
		if a.addr == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(a.addr); err != nil {
			return usage(fmt.Sprintf("--%s %q is no address", a.flag, a.addr), "give host:port, as "+a.example)
		}
	}
	if o.PeerAddr != "" {
		host, port, err := net.SplitHostPort(o.PeerAddr)
		if number, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || number == 0 || host == "" {
			return usage(fmt.Sprintf("--peer-addr %q is no address", o.PeerAddr), "give host:port as other nodes reach it, as 10.0.0.7:8080")
		}
	}
	return nil
}

func (o *NodeOptions) checkURLs() error {
	if o.Advertise != "" && o.Advertise != "none" && !isOrigin(o.Advertise) {
		return usage(fmt.Sprintf("--advertise %q is no http or https URL", o.Advertise), "give one as https://chat.example.org, or none")
	}
	o.Advertise = strings.TrimSuffix(o.Advertise, "/")
	for i, origin := range o.Origins {
		if origin != "*" && !isOrigin(origin) && !isAppOrigin(origin) {
			return usage(fmt.Sprintf("--origin %q is no origin", origin), "give one as https://www.example.org or capacitor://localhost, or * for all")
		}
		o.Origins[i] = strings.TrimSuffix(origin, "/")
	}
	for _, name := range o.Hosts {
		if !hostName.MatchString(name) {
			return usage(fmt.Sprintf("--host %q is no host name", name), "give the name alone, as chat.example.org: in ASCII (xn--…), without scheme and port")
		}
	}
	return nil
}

// hostName matches a DNS name in ASCII.
var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9._-]{0,252})$`)

// notApps are schemes that are no origins of apps, because browsers or the system give
// them a meaning.
var notApps = []string{
	"http", "https", "ws", "wss", "ftp", "file", "filesystem", "data", "blob", "about", "javascript", "view-source",
	"mailto", "tel", "chrome", "resource",
}

// isAppOrigin reports whether s is the origin of an app's pages, such as
// capacitor://localhost: a scheme of its own, and a name. Such a scheme has no default
// port, and its name is compared unchanged.
func isAppOrigin(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme != "" && !slices.Contains(notApps, u.Scheme) && host.MatchString(u.Host) && u.User == nil &&
		(u.Path == "" || u.Path == "/") && u.RawQuery == "" && !u.ForceQuery && u.Fragment == ""
}

// host is a host's name as browsers send it (in ASCII), or its address. None of it
// has a meaning in a Content-Security-Policy, where https://*.example.org would be
// all of its hosts, and a semicolon the rule's end.
var host = regexp.MustCompile(`^(?:[A-Za-z0-9._-]+|[0-9a-fA-F:.]+)$`)

// isOrigin reports whether s is an http or https URL of a host and nothing else.
func isOrigin(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && host.MatchString(u.Hostname()) && u.User == nil &&
		(u.Path == "" || u.Path == "/") && u.RawQuery == "" && u.Fragment == ""
}

// Bounds of the configurable limits.
const (
	maxTextLimit = 1 << 20
	maxKept      = 10_000_000
	maxJoined    = 10_000
	maxReplicas  = 10
	minSecret    = 16
)

func (o *NodeOptions) checkLimits() error {
	for _, n := range []struct {
		flag           string
		value, lo, max int
	}{
		{"wait-replicas", o.Replicas, 0, maxReplicas},
		{"history", o.History, 1, maxKept},
		{"text-limit", o.TextLimit, 1, maxTextLimit},
		{"max-rooms", o.MaxRooms, 1, maxJoined},
		{"max-conns", o.MaxConns, 0, maxKept},
		{"burst", o.Burst, 1, maxKept},
	} {
		if n.value < n.lo || n.value > n.max {
			return usage(fmt.Sprintf("--%s %d is outside %d to %d", n.flag, n.value, n.lo, n.max), "see chat --help")
		}
	}
	if !(o.Rate >= 0 && o.Rate <= maxKept) {
		return usage(fmt.Sprintf("--rate %v is outside 0 to %d", o.Rate, maxKept), "0 is no limit")
	}
	if o.Secret != "" && len(o.Secret) < minSecret {
		return usage(fmt.Sprintf("--secret has fewer than %d bytes", minSecret), "take a longer one, the same for all nodes")
	}
	return nil
}
