package redisbroker

import (
	"context"
	"errors"
	"net"
	"regexp"
	"strings"

	"github.com/redis/go-redis/v9"
)

// effect is what a failure implies for other calls of its kind.
type effect int

const (
	// lasting failures end when the same kind of call succeeds. One may be temporary, so it
	// makes the node not ready only if it persists.
	lasting effect = iota
	// general refusals affect every room of the partition: one is enough.
	general
	// state refusals are general ones that depend on the state of Redis and not on the
	// command: a trial shows whether they hold.
	state
	// away failures are lasting ones to get an answer: a trial shows whether they hold.
	away
	// passing failures are lasting ones that are known to be temporary, as while a slot of a
	// Redis Cluster moves: they may take longer.
	passing
	// ownRoom failures affect one room only.
	ownRoom
)

// kinds are those of cluster.BrokerStats.Failed: a fixed table, so that no text of Redis ever
// becomes the name of something that is counted. The last is any other.
var kinds = [...]struct {
	name   string
	effect effect
}{
	{"timeout", away}, {"connection", away}, {"reply", lasting}, {"replicas", general},
	{"oom", state}, {"readonly", state}, {"misconf", state}, {"noauth", state}, {"wrongpass", state},
	{"noperm", general}, {"loading", state}, {"busy", state}, {"wrongtype", ownRoom}, {"noreplicas", state},
	{"clusterdown", state}, {"tryagain", passing}, {"moved", passing}, {"ask", passing}, {"masterdown", state},
	{"crossslot", lasting}, {"noscript", passing}, {"unblocked", passing}, {"maxclients", state}, {"nocommand", general},
	{"other", lasting},
}

// answers are the texts by which servers refuse a command, in the order in which they are
// compared. Each is the beginning of the reply, without the prefix that names its script.
// "R" is Redis, "V" Valkey, "D" Redict; files are of their src/. Texts without a source
// were seen on R 7.0.15, R 8.0.6, V 9.1.2 and D 7.3.6.
var answers = []struct{ text, kind string }{
	// Codes, the same outside and within a script: server.c (processCommand) and,
	// within scripts, script.c (scriptVerify…) from R 7.0 on, scripting.c before.
	{"OOM ", "oom"},                 // R 2.6+, V, D
	{"READONLY ", "readonly"},       // R 2.8+, V, D
	{"MISCONF ", "misconf"},         // R 2.6+, V, D; the server's name is in the text
	{"NOREPLICAS ", "noreplicas"},   // R 2.8+, V, D
	{"LOADING ", "loading"},         // R 2.2+, V, D
	{"BUSY ", "busy"},               // R 2.6+, V, D; the server's name is in the text
	{"MASTERDOWN ", "masterdown"},   // R 2.6+, V, D
	{"CLUSTERDOWN ", "clusterdown"}, // cluster.c (clusterRedirectClient), R 3.0+, V, D
	{"TRYAGAIN ", "tryagain"},       // as above
	{"CROSSSLOT ", "crossslot"},     // as above
	{"MOVED ", "moved"},             // as above
	{"ASK ", "ask"},                 // as above
	{"NOSCRIPT ", "noscript"},       // R 2.6+, D: "No matching script. Please use EVAL."; V 9: "No matching script."
	{"WRONGTYPE ", "wrongtype"},     // R 2.8+, V, D
	{"NOAUTH ", "noauth"},           // R 2.8+, V, D
	{"WRONGPASS ", "wrongpass"},     // acl.c, R 6.0+, V, D
	{"NOPERM ", "noperm"},           // acl.c, R 6.0+, V, D; never within a script
	{"UNBLOCKED ", "unblocked"},     // blocked.c: WAIT, when a primary becomes a replica, R 3.2+, V, D
	// Texts without a code of their own.
	{"ERR ACL failure in script: ", "noperm"},                                            // script.c, R 7.2+, V 7.2+, D
	{"ERR The user executing the script can", "noperm"},                                  // scripting.c, R 6.0–6.2; script.c, R 7.0
	{"ERR max number of clients reached", "maxclients"},                                  // networking.c, R, V, D
	{"ERR max number of clients + cluster connections", "maxclients"},                    // networking.c, R 7.0+, V, D
	{"ERR unknown command", "nocommand"},                                                 // server.c, R, V, D: renamed, or too old
	{"ERR Unknown Redis command called", "nocommand"},                                    // scripting.c, R 2.6+
	{"ERR Unknown Redict command called", "nocommand"},                                   // D
	{"ERR Unknown command called", "nocommand"},                                          // V 9.1
	{"ERR Unknown Valkey command called", "nocommand"},                                   // V 8
	{"ERR Can not execute the command on a stale replica", "masterdown"},                 // script.c, R 7.0+, V, D
	{"ERR Script attempted to execute a write command while the cluster", "clusterdown"}, // script.c, R 7.0+, V, D
	{"ERR Script attempted to execute a command while the cluster", "clusterdown"},
	{"ERR Lua script attempted to execute a write command while the cluster", "clusterdown"}, // scripting.c, R 6.2
	{"ERR Lua script attempted to execute a command while the cluster", "clusterdown"},
	{"ERR Script attempted to access a slot not served", "clusterdown"}, // script.c, R 8, V 8
	{"ERR Script attempted to access a non local key", "moved"},         // script.c, R 7.0+
	{"ERR Lua script attempted to access a non local key", "moved"},     // scripting.c, R 3.0–6.2
	{"ERR Unable to execute command ", "tryagain"},                      // script.c, R 8, V 8: "… during rehashing of the slot"
	{"ERR Script killed by user with SCRIPT KILL", "busy"},              // script_lua.c, R, V, D: an operator ended a script
}

// place is the prefix of Redis 5.0 to 6.2 and of the embedded broker before an error within
// a script: its SHA and line (evalGenericCommand and luaPushError in Redis's scripting.c).
// Later versions append that.
var place = regexp.MustCompile(`^ERR Error (?:running|compiling) script \([^)]*\): (?:@?[A-Za-z_<>]*: ?\d+: ?)*-?`)

// transaction is the prefix of EXEC before the refusal of a queued command
// (multi.c, R 7.0+, V, D).
const transaction = "EXECABORT Transaction discarded because of: "

// kind returns the index in kinds of the failure of a call.
func kind(err error) int {
	var network net.Error
	switch {
	case errors.Is(err, errReply):
		return kindOf("reply")
	case errors.Is(err, errReplicas):
		return kindOf("replicas")
	case isReply(err):
		return answered(reply(err))
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return kindOf("timeout")
	}
	return kindOf("connection")
}

// answered returns the index in kinds of an error reply.
func answered(text string) int {
	text = strings.TrimPrefix(text, transaction)
	if at := place.FindStringIndex(text); at != nil {
		text = text[at[1]:]
	}
	for _, a := range answers {
		bare := strings.TrimPrefix(a.text, "ERR ") // within scripts of 5.0 to 6.2
		if strings.HasPrefix(text, a.text) || strings.HasPrefix(text, bare) {
			return kindOf(a.kind)
		}
	}
	return len(kinds) - 1
}

// reply returns the error reply of Redis without the text that was added here.
func reply(err error) string {
	var r redis.Error
	if errors.As(err, &r) {
		return r.Error()
	}
	return err.Error()
}

// kindOf returns the index of a kind by its name.
func kindOf(name string) int {
	for i, k := range kinds {
		if k.name == name {
			return i
		}
	}
	panic("redisbroker: no kind of failure is named " + name) // answers and kinds are of this file
}
