// Package native carries out the chat's Lua scripts in Go, on the data of a miniredis,
// where gopher-lua would interpret them some thirty times slower.
//
// Each script has one function here, in a file with the script's name, and is known by
// its SHA-1: a script that changes is interpreted until its function has been reviewed.
// Whatever is unusual (a key of another type, an argument that nodes never send, values
// that were written by hand and can't be parsed) is left to the interpreter too, before
// anything is changed. So a function here has no errors of its own, and its outcome is
// that of the script. The tests of embed compare both with a real Redis.
package native

import (
	"bufio"
	"bytes"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

// Runner carries out scripts on one miniredis. It may be used by one goroutine at a time,
// and only while no other command of the miniredis runs: that makes scripts atomic.
type Runner struct {
	redis    *miniredis.Miniredis
	password string
	now      func() time.Time
	spaces   map[int]*space
	alias    map[string]*Bounds
}

// New returns a Runner on a miniredis that has been started, with its password ("" for
// none). now is the clock of Redis's TIME.
func New(redis *miniredis.Miniredis, password string, now func() time.Time) *Runner {
	return &Runner{redis: redis, password: password, now: now, spaces: make(map[int]*space), alias: make(map[string]*Bounds)}
}

// function carries out one script. It returns false, having changed nothing, if the
// interpreter must carry it out.
type function func(c *call) bool

// functions are the scripts by their SHA-1, in hexadecimal.
var functions = map[string]function{
	appendSHA: appendDrafts,
	readSHA:   readLog,
}

// Bounds are the constants that the source of append.lua begins with.
type Bounds struct {
	KeysKept, KeyAge, ChangesKept, MaxEdits, MaxKinds, MaxReactions, MaxRoomReactions, MaxUsers int
}

// Usual are those of the script that has appendSHA.
var Usual = Bounds{
	KeysKept: 1000, KeyAge: 600_000, ChangesKept: 2000, MaxEdits: 100, MaxKinds: 20, MaxReactions: 5000, MaxRoomReactions: 200_000, MaxUsers: 20,
}

// Knows reports whether there is a function for the script with this SHA-1.
func (r *Runner) Knows(sha string) bool { return functions[sha] != nil || r.alias[sha] != nil }

// Alias makes the Runner carry out a further script, which differs from append.lua in its
// bounds only. Tests reach the bounds with it.
func (r *Runner) Alias(sha string, bounds Bounds) { r.alias[sha] = &bounds }

// call is one execution of a script.
type call struct {
	*space
	now        uint64 // Redis's TIME, in ms
	bounds     *Bounds
	keys, args []string
	reply      []byte // in the format of Redis's protocol
}

// Run carries out a script that the Runner knows, on a database, and returns its reply in
// the format of Redis's protocol, which is the same in versions 2 and 3. done is false if
// the interpreter must carry it out; then nothing has changed. The reply is valid until
// the next call.
func (r *Runner) Run(db int, sha string, keys, args []string) (reply []byte, done bool) {
	f, bounds := functions[sha], &Usual
	if alias := r.alias[sha]; alias != nil {
		f, bounds = appendDrafts, alias
	}
	now := r.now().UnixMilli()
	if f == nil || now < 0 {
		return nil, false
	}
	s := r.space(db)
	c := call{space: s, now: uint64(now), bounds: bounds, keys: keys, args: args, reply: s.reply[:0]}
	if !f(&c) {
		return nil, false
	}
	if s.failed != nil {
		c.reply = fmt.Appendf(c.reply[:0], "-ERR %v\r\n", s.failed)
		s.failed = nil
	}
	if cap(c.reply) <= keptReply {
		s.reply = c.reply
	}
	return c.reply, true
}

// keptReply is the largest buffer that is kept for the next reply.
const keptReply = 64 << 10

// Loaded reports whether the miniredis has a script.
func (r *Runner) Loaded(sha string) bool {
	s := r.space(0)
	s.do("SCRIPT", "EXISTS", sha)
	return bytes.Contains(s.out.Bytes(), []byte(":1"))
}

// space is one database of the miniredis. Its methods are the commands of Redis that the
// scripts use.
type space struct {
	db     *miniredis.RedisDB
	redis  *miniredis.Miniredis
	peer   *server.Peer
	out    bytes.Buffer // what the peer got
	failed error        // an error reply to the peer, which the checks before should exclude
	reply  []byte
}

// space returns a database, by its number.
func (r *Runner) space(db int) *space {
	s := r.spaces[db]
	if s == nil {
		s = &space{redis: r.redis}
		s.peer = server.NewPeer(bufio.NewWriter(&s.out))
		if r.password != "" {
			s.do("AUTH", r.password)
		}
		s.do("SELECT", strconv.Itoa(db))
		r.spaces[db] = s
	}
	s.db = r.redis.DB(db) // SWAPDB may have moved it
	return s
}

// try carries out a command that may fail.
func (s *space) try(words ...string) {
	s.out.Reset()
	s.redis.Server().Dispatch(s.peer, words)
	s.peer.Flush()
}

// do carries out a command for which miniredis has no function. The reply is in out.
func (s *space) do(words ...string) {
	s.try(words...)
	if reply := s.out.Bytes(); len(reply) > 0 && reply[0] == '-' && s.failed == nil {
		s.failed = fmt.Errorf("%s: %s", words[0], bytes.TrimSpace(reply[1:]))
	}
}

// is reports whether a key has the type, or does not exist.
func (s *space) is(key, kind string) bool {
	t := s.db.Type(key)
	return t == "" || t == kind
}

// The types of keys, as the command TYPE names them.
const (
	typeStream = "stream"
	typeZSet   = "zset"
	typeHash   = "hash"
	typeString = "string"
)

// distinct reports whether no key is twice in the list.
func distinct(keys []string) bool {
	for i, a := range keys {
		for _, b := range keys[:i] {
			if a == b {
				return false
			}
		}
	}
	return true
}

// lineField appends a field of a line, as line.lua does.
func lineField(b []byte, field string) []byte {
	b = strconv.AppendInt(b, int64(len(field)), 10)
	b = append(b, ':')
	return append(b, field...)
}

// The elements of a reply.

func (c *call) array(n int) {
	c.reply = append(c.reply, '*')
	c.reply = strconv.AppendInt(c.reply, int64(n), 10)
	c.reply = append(c.reply, '\r', '\n')
}

func (c *call) number(n int) {
	c.reply = append(c.reply, ':')
	c.reply = strconv.AppendInt(c.reply, int64(n), 10)
	c.reply = append(c.reply, '\r', '\n')
}

func (c *call) bulk(s string) {
	c.reply = append(c.reply, '$')
	c.reply = strconv.AppendInt(c.reply, int64(len(s)), 10)
	c.reply = append(c.reply, '\r', '\n')
	c.reply = append(c.reply, s...)
	c.reply = append(c.reply, '\r', '\n')
}

func (c *call) flag(b bool) {
	if b {
		c.number(1)
	} else {
		c.number(0)
	}
}

// text formats a number as the scripts' text does ('%.0f').
func text(n float64) string { return strconv.FormatFloat(n, 'f', 0, 64) }

// digits parses a number as nodes write them: digits, with no other zero before them.
func digits(s string) (n uint64, ok bool) {
	if len(s) == 0 || len(s) > 1 && s[0] == '0' || s[0] < '0' || s[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}

// small parses an argument that is a number of things, or a time in ms.
func small(s string) (n int, ok bool) {
	u, ok := digits(s)
	return int(u), ok && u < math.MaxInt32
}

// exact is the bound below which a Lua number (a float64) represents each integer.
const exact = 1 << 53
