package native

import (
	"cmp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/alicebob/miniredis/v2"
)

// What room.lua has for the scripts about a room's log.

// id is an entry's id in numbers.
type id struct{ ms, seq uint64 }

func (a id) less(b id) bool { return a.ms < b.ms || a.ms == b.ms && a.seq < b.seq }

// parseID parses an id in the one form that streams and nodes write.
func parseID(s string) (i id, ok bool) {
	ms, seq, found := strings.Cut(s, "-")
	if !found {
		return i, false
	}
	var ok1, ok2 bool
	i.ms, ok1 = digits(ms)
	i.seq, ok2 = digits(seq)
	return i, ok1 && ok2
}

// exactID is parseID for ids whose numbers are exact in Lua.
func exactID(s string) (i id, ok bool) {
	i, ok = parseID(s)
	return i, ok && i.ms < exact && i.seq < exact
}

// ours reports whether an entry of a stream is one of ours: the values of its fields are
// then at the indexes below.
func ours(e *miniredis.StreamEntry) bool {
	f := e.Values
	return len(f) == 12 && f[0] == "id" && f[1] == e.ID && f[2] == "author" && f[4] == "key" &&
		f[6] == "kind" && f[8] == "target" && f[10] == "json"
}

const (
	fieldAuthor = 3
	fieldKey    = 5
)

// stream is a stream as it is at one moment: it is not valid after a change.
type stream []miniredis.StreamEntry

// stream returns the entries of a stream, oldest first; nil if the key does not exist.
func (s *space) stream(key string) stream {
	entries, _ := s.db.Stream(key) // its type has been checked
	return entries
}

// at returns the index of the first entry whose id is not below i.
func (s stream) at(i id) int {
	return sort.Search(len(s), func(k int) bool {
		other, _ := parseID(s[k].ID) // miniredis has checked it
		return !other.less(i)
	})
}

// find returns the entry with an id, nil if there is none.
func (s stream) find(text string, i id) *miniredis.StreamEntry {
	if k := s.at(i); k < len(s) && s[k].ID == text {
		return &s[k]
	}
	return nil
}

// head is the newest entry of a stream.
type head struct {
	id    string                 // of the newest entry of ours, "" for none
	at    id                     // the same in numbers
	entry *miniredis.StreamEntry // the same
	top   id                     // the newest id of any entry
}

// newest is room.lua's function of this name. ok is false if a number is not exact in Lua.
func (s stream) newest() (h head, ok bool) {
	if len(s) == 0 {
		return h, true
	}
	if h.top, ok = exactID(s[len(s)-1].ID); !ok {
		return h, false
	}
	const pages, page = 20, 200
	last := len(s) - 1
	if ours(&s[last]) {
		h.id, h.at, h.entry = s[last].ID, h.top, &s[last]
		return h, true
	}
	for range pages {
		n := 0
		for k := last; k >= 0 && n < page; k-- {
			if ours(&s[k]) {
				h.id, h.entry = s[k].ID, &s[k]
				h.at, ok = exactID(h.id)
				return h, ok
			}
			last = k // the next page begins with the last entry of this one
			n++
		}
		if n < page {
			break
		}
	}
	return h, true
}

// heads returns the newest entries of a room's streams; that of changes is empty if they are of
// another log (room.lua, stale).
func (c *call) heads(log, changes stream) (message, change head, ok bool) {
	message, ok1 := log.newest()
	change, ok2 := changes.newest()
	if !ok1 || !ok2 {
		return message, change, false
	}
	if message.id == "" && change.id != "" && !c.db.Exists(c.keys[0]) {
		change = head{}
	}
	return message, change, true
}

// score returns the score of a member of a sorted set.
func (s *space) score(key, member string) (score float64, ok bool) {
	set, _ := s.db.SortedSet(key) // its type has been checked
	score, ok = set[member]
	return score, ok
}

// card returns the number of members of a sorted set.
func (s *space) card(key string) int {
	set, _ := s.db.SortedSet(key)
	return len(set)
}

// count returns how many members have scores between two others, without these.
func (s *space) count(key string, low, high int64) int64 {
	set, _ := s.db.SortedSet(key)
	n := int64(0)
	for _, score := range set {
		if score > float64(low) && score < float64(high) {
			n++
		}
	}
	return n
}

// remove removes a member from a sorted set; it need not be one.
func (s *space) remove(key, member string) {
	if _, had := s.score(key, member); had {
		_, _ = s.db.ZRem(key, member)
	}
}

// add adds a member to a sorted set, or changes its score.
func (s *space) add(key string, score float64, member string) { _, _ = s.db.ZAdd(key, score, member) }

// lowest returns the first n members of a sorted set, in its order, as far as their scores
// are below a bound.
func (s *space) lowest(key string, n int, bound float64) []string {
	type ranked struct {
		score  float64
		member string
	}
	compare := func(a, b ranked) int { return cmp.Or(cmp.Compare(a.score, b.score), cmp.Compare(a.member, b.member)) }
	set, _ := s.db.SortedSet(key)
	var list []ranked
	for member, score := range set {
		r := ranked{score, member}
		if !(score < bound) || len(list) == n && (n == 0 || compare(r, list[n-1]) > 0) {
			continue
		}
		at, _ := slices.BinarySearchFunc(list, r, compare)
		list = slices.Insert(list[:min(len(list), n-1)], at, r)
	}
	members := make([]string, len(list))
	for i, r := range list {
		members[i] = r.member
	}
	return members
}

// size returns the number of fields of a hash.
func (s *space) size(key string) int {
	s.do("HLEN", key)
	n, _ := strconv.Atoi(strings.Trim(s.out.String(), ":\r\n"))
	return n
}

// delete removes a key.
func (s *space) delete(key string) {
	s.db.Del(key)
}

// field returns the value of a field of a hash; "" if there is none.
func (s *space) field(key, field string) string { return s.db.HGet(key, field) }

// fields returns the values of fields of a hash; nil for those that are not there.
func (s *space) fields(key string, fields ...string) []*string {
	s.do(append([]string{"HMGET", key}, fields...)...)
	values := make([]*string, len(fields))
	reply := s.out.String() // one copy, which the values share
	_, reply, _ = strings.Cut(reply, "\r\n")
	for i := range values {
		var size string
		size, reply, _ = strings.Cut(reply, "\r\n")
		n, err := strconv.Atoi(strings.TrimPrefix(size, "$"))
		if err != nil || n < 0 || n > len(reply) {
			continue
		}
		value := reply[:n]
		values[i], reply = &value, strings.TrimPrefix(reply[n:], "\r\n")
	}
	return values
}
