package redisopen

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// passing are the error replies of a Redis that is starting, with its replicas and its
// cluster, or that is busy for a moment.
var passing = []string{"LOADING", "NOREPLICAS", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "MAX NUMBER OF CLIENTS"}

// mayComeUp reports whether a Redis that failed with err may work later without a change
// of the node's flags.
func (t Target) mayComeUp(err error) bool {
	var (
		reply    redis.Error
		signer   x509.UnknownAuthorityError
		host     x509.HostnameError
		invalid  x509.CertificateInvalidError
		noTLS    tls.RecordHeaderError
		operator *operatorError
	)
	upper := strings.ToUpper(err.Error())
	has := func(text string) bool { return strings.Contains(upper, text) }
	switch {
	case errors.As(err, &operator), errors.As(err, &signer), errors.As(err, &host), errors.As(err, &invalid), errors.As(err, &noTLS):
		return false
	case t.sentinel != nil && has("ALL SENTINELS SPECIFIED"):
		return !has("REDIS: NIL") && !has("NOAUTH") && !has("WRONGPASS") && !has("NOPERM") && !has("UNKNOWN COMMAND")
	case has("INVALID REPLY"), has("CAN'T PARSE"):
		return false
	case errors.As(err, &reply):
		// During a failover the sentinels may still name the old primary.
		return slices.ContainsFunc(passing, has) || t.sentinel != nil && (has("READONLY") || has("MASTERDOWN"))
	}
	return true
}

// operatorError is the error of a Redis that works but is not the one that --redis should
// name.
type operatorError struct{ text, hint string }

// Error returns the reason, without the hint (error).
func (e *operatorError) Error() string { return e.text }

// diagnose finds out more about why a Redis cannot be used: a sentinel knows no
// streams, and a replica takes no writes but knows its primary. It returns err if it
// finds nothing.
func (t Target) diagnose(ctx context.Context, err error) error {
	upper := strings.ToUpper(err.Error())
	if t.sentinel != nil || !strings.Contains(upper, "UNKNOWN COMMAND") && !strings.Contains(upper, "READONLY") {
		return err
	}
	opts := redis.Options{MaxRetries: -1, DisableIdentity: true, Protocol: 2, PoolSize: 1, DialTimeout: dialTimeout}
	if t.cluster != nil {
		opts.Addr, opts.Username, opts.Password, opts.TLSConfig = t.cluster.Addrs[0], t.cluster.Username, t.cluster.Password, t.cluster.TLSConfig
	} else {
		opts = *t.single
		opts.DB = 0 // a sentinel has none
	}
	client := redis.NewClient(&opts)
	defer func() { _ = client.Close() }()
	role, roleErr := client.Do(ctx, "role").Slice()
	if roleErr != nil || len(role) == 0 {
		return err
	}
	switch role[0] {
	case "sentinel":
		name := "master-name"
		if len(role) > 1 {
			if names, ok := role[1].([]any); ok && len(names) > 0 {
				name = fmt.Sprint(names[0])
			}
		}
		return &operatorError{"it is a Sentinel, not a Redis", "give redis+sentinel://" + opts.Addr + "/" + name}
	case "slave":
		if len(role) > 2 {
			return &operatorError{firstLine(err), fmt.Sprintf("it is a replica: give its primary, %v:%v, or the sentinels that know it", role[1], role[2])}
		}
	}
	return err
}

// refusals map what a Redis may answer, in upper case, to what an operator should do.
// The first that is part of the answer counts.
var refusals = []struct{ answer, hint string }{
	{"WRONGPASS", "it refuses the user or the password: put the right ones in the URL, redis://user:password@host:port"},
	{"INVALID PASSWORD", "it refuses the user or the password: put the right ones in the URL, redis://user:password@host:port"},
	{"NOAUTH", "it wants a password: give it in the URL, redis://:password@host:port, best through CHAT_REDIS"},
	{"WITHOUT ANY PASSWORD", "it has no password: leave it out of the URL"},
	{"CLUSTER SUPPORT DISABLED", "it is no Redis Cluster: give one address for a single Redis"},
	{"MOVED", "it is part of a Redis Cluster: give several of its addresses, host:port,host:port (or one of them twice)"},
	{"CLUSTERDOWN", "some of its slots have no primary: see redis-cli --cluster check"},
	{"UNKNOWN COMMAND", "it is too old for streams, or for sharded Pub/Sub: use Redis 5.0 or newer, a Redis Cluster from 7.0 on"},
	{"MAX NUMBER OF CLIENTS", "it takes no more connections: see maxclients"},
	{"INVALID REPLY", anotherProtocol},
	{"CAN'T PARSE", anotherProtocol},
	{"NOPERM", "its user may not do what the chat does: see the README for the rules it needs"},
	{"LOADING", "it is still reading its data: try again in a moment"},
	{"READONLY", "it is a replica: give its primary, or the sentinels that know it"},
	{"MASTERDOWN", "it is a replica without its primary: give the primary, or the sentinels that know it"},
	{"MISCONF", "it can't save its data and refuses writes: see its log and its disk"},
	{"BUSY", "a script keeps it busy: see SCRIPT KILL"},
	{"OOM", "its memory is full: see maxmemory"},
	{"DB INDEX IS OUT OF RANGE", "it has fewer databases: give a lower number in the URL, or none"},
	{"NOREPLICAS", "it refuses writes while too few replicas follow it: see min-replicas-to-write"},
}

const anotherProtocol = "it speaks another protocol: is this the port of a Redis, and TLS only with rediss://?"

// explain returns one line that says why a Redis cannot be used, and what to do.
func explain(target Target, err error) error {
	text := firstLine(err)
	hint := networkHint(err)
	var operator *operatorError
	if errors.As(err, &operator) {
		return fmt.Errorf("can't use the Redis at %s: %s: %s", target.name, operator.text, operator.hint)
	}
	if target.sentinel != nil && strings.Contains(text, "all sentinels specified") {
		text, hint = sentinelTrouble(err)
	} else if hint == "" {
		hint = "see Redis's own log"
		upper := strings.ToUpper(text)
		for _, r := range refusals {
			if strings.Contains(upper, r.answer) {
				hint = r.hint
				break
			}
		}
	}
	return fmt.Errorf("can't use the Redis at %s: %s: %s", target.name, text, hint)
}

// sentinelTrouble explains why no sentinel named the primary.
func sentinelTrouble(err error) (text, hint string) {
	switch {
	case strings.Contains(err.Error(), redis.Nil.Error()):
		return "the sentinels know no primary of this name", "the name follows the last /, and is that of sentinel monitor"
	case strings.Contains(err.Error(), "NOAUTH"), strings.Contains(err.Error(), "WRONGPASS"):
		return "the sentinels want a password", "give it as ?sentinel_password=… (and sentinel_username) at the URL's end"
	}
	if hint = networkHint(err); hint == "" || errors.Is(err, syscall.ECONNREFUSED) {
		hint = "are these the sentinels' addresses (port 26379), not Redis's, and do they run?"
	}
	return "no sentinel answers", hint
}

// networkHint returns what to do about a failed connection; "" for other errors.
func networkHint(err error) string {
	var (
		dns      *net.DNSError
		signer   x509.UnknownAuthorityError
		host     x509.HostnameError
		invalid  x509.CertificateInvalidError
		noTLS    tls.RecordHeaderError
		notBegun *net.OpError
	)
	switch {
	case errors.As(err, &signer):
		return "its certificate is signed by an authority that is unknown here: name the file with its CA in SSL_CERT_FILE"
	case errors.As(err, &host):
		return "its certificate is for another name: give the host by a name that is in it"
	case errors.As(err, &invalid):
		return "its certificate is not valid: see its dates and uses"
	case errors.As(err, &noTLS):
		return "it speaks no TLS: give redis:// in place of rediss://"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "is it running? start one, or leave --redis out for the embedded broker"
	case errors.Is(err, syscall.ENOENT):
		return "there is no such socket: is it running, and is this the path?"
	case errors.As(err, &dns):
		return "there is no such host: check the name"
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return "it doesn't answer: is it a Redis, and reachable from here (and TLS only with rediss://)?"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.As(err, &notBegun):
		return "it ends the connection: is it a Redis, and TLS only with rediss://?"
	}
	return ""
}

func isTimeout(err error) bool {
	var network net.Error
	return errors.As(err, &network) && network.Timeout()
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return strings.TrimSpace(line)
}
