package check

import "example.com/chat/internal/protocol"

// Verdict is what a history comes to.
type Verdict int

const (
	// Kept: every promise was kept.
	Kept Verdict = iota
	// RedisLost: what was acknowledged is gone, or came otherwise, but only as it
	// must where Redis itself lost a log, and all who were in the room were told.
	RedisLost
	// Broken: a promise was broken.
	Broken
)

// Judge verifies a history, and tells breaches of the chat's promises from the
// losses of Redis. The report is Verify's in either case.
func Judge(list []Record) (*Report, Verdict) {
	report := Verify(list)
	if report.OK() {
		return report, Kept
	}
	if wiped := withWipes(list); len(wiped) > len(list) && Verify(wiped).OK() {
		return report, RedisLost
	}
	return report, Broken
}

// withWipes believes the members that were told of another log: before each such
// record the copy has an OpWiped of that room.
func withWipes(list []Record) []Record {
	var logs finalLogs
	out := make([]Record, 0, len(list))
	for i := range list {
		if r := &list[i]; r.Op == OpReset || r.Op == OpJoined && logs.lost(r, list) {
			out = append(out, Record{At: r.At, Op: OpWiped, Room: r.Room})
		}
		out = append(out, list[i])
	}
	return out
}

// finalLogs are the ids that the logs hold in the end, by room and seq; nil until
// they are needed.
type finalLogs map[string]map[int64]protocol.ID

func (l *finalLogs) read(list []Record) {
	*l = make(finalLogs)
	for i := range list {
		r := &list[i]
		if r.Op != OpLog {
			continue
		}
		if (*l)[r.Room] == nil {
			(*l)[r.Room] = make(map[int64]protocol.ID)
		}
		if id, ok := parse(r.ID); ok {
			(*l)[r.Room][id.Seq] = id
		}
	}
}

// lost reports whether who joined was told that it can't resume, and the place
// where it was is one that a log has lost: the head is behind it, or the log
// holds another entry there in the end. A place that was only trimmed is neither.
func (l *finalLogs) lost(r *Record, list []Record) bool {
	head, ok := parse(r.Head)
	after, ok2 := parse(r.After)
	if r.Recovered || !ok || !ok2 || after.IsZero() {
		return false
	}
	if head.Seq < after.Seq {
		return true
	}
	if *l == nil {
		l.read(list)
	}
	there, held := (*l)[r.Room][after.Seq]
	return held && there != after
}
